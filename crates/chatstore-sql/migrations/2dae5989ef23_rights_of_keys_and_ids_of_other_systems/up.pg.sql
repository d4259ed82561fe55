alter table users drop constraint ck_users_identity;
alter table users
  add column external_namespace text collate "C",
  add column external_id text collate "C";
alter table users
  add constraint uq_users_external_id unique (external_namespace, external_id),
  add constraint ck_users_external_id check ((external_namespace is null) = (external_id is null)),
  add constraint ck_users_identity check (username_key is not null or email_key is not null or external_id is not null or deleted_at is not null);
alter table api_keys
  add column rights jsonb,
  add column previous_expires_at timestamptz,
  add column previous_key_hash bytea,
  add column password_confirmed_at timestamptz;
alter table api_keys add constraint ck_api_keys_previous check ((previous_key_hash is null) = (previous_expires_at is null));
create unique index ix_api_keys_previous_key_hash on api_keys (user_id, previous_key_hash) where previous_key_hash is not null;
alter table sessions
  add column used_counter bigint,
  add column password_confirmed_at timestamptz;
