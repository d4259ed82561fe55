alter table users
  drop constraint ck_users_external_id,
  drop constraint ck_users_identity,
  drop constraint uq_users_external_id,
  drop column external_namespace,
  drop column external_id;
drop index ix_api_keys_previous_key_hash;
alter table api_keys
  drop constraint ck_api_keys_previous,
  drop column rights,
  drop column previous_expires_at,
  drop column previous_key_hash,
  drop column password_confirmed_at;
alter table sessions
  drop column used_counter,
  drop column password_confirmed_at;
alter table users add constraint ck_users_identity check (username_key is not null or email_key is not null or deleted_at is not null);
