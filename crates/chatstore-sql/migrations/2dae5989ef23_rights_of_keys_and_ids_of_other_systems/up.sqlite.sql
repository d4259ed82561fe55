pragma foreign_keys = off;
alter table sessions add column used_counter integer;
alter table sessions add column password_confirmed_at integer;
create temp table proof (
  no_row_is_lost integer,
  references_hold integer,
  constraint no_row_is_lost check (no_row_is_lost),
  constraint references_hold check (references_hold)
) strict;
create table rebuilt_users (
  id blob not null,
  username text,
  username_key text,
  email text,
  email_key text,
  full_name text,
  password_hash text,
  role text not null,
  is_active integer not null,
  must_change_password integer not null,
  metadata text not null,
  created_at integer not null,
  updated_at integer not null,
  deleted_at integer,
  email_verified_at integer,
  external_namespace text,
  external_id text,
  constraint pk_users primary key (id),
  constraint uq_users_username_key unique (username_key),
  constraint uq_users_external_id unique (external_namespace, external_id),
  constraint ck_users_role check (role in ('user', 'admin')),
  constraint ck_users_identity check (username_key is not null or email_key is not null or external_id is not null or deleted_at is not null),
  constraint ck_users_external_id check ((external_namespace is null) = (external_id is null)),
  constraint ck_users_is_active check (is_active in (0, 1)),
  constraint ck_users_must_change_password check (must_change_password in (0, 1)),
  constraint ck_users_metadata check (json_valid(metadata))
) strict, without rowid;
insert into rebuilt_users (id, username, username_key, email, email_key, full_name, password_hash, role, is_active, must_change_password, metadata, created_at, updated_at, deleted_at, email_verified_at)
  select id, username, username_key, email, email_key, full_name, password_hash, role, is_active, must_change_password, metadata, created_at, updated_at, deleted_at, email_verified_at
  from users;
insert into proof (no_row_is_lost)
  select (select count(*) from rebuilt_users) = (select count(*) from users);
drop table users;
alter table rebuilt_users rename to users;
create index ix_users_created_at on users (created_at, id);
create index ix_users_deleted on users (id) where deleted_at is not null;
create unique index ix_users_verified_email on users (email_key) where email_verified_at is not null;
create unique index ix_users_claimed_email on users (email_key) where email_verified_at is null and email_key is not null;
create index ix_users_verified_password on users (id) where email_verified_at is not null and password_hash is not null;
create index ix_users_claimed_password on users (id) where email_verified_at is null and email_key is not null and password_hash is not null;
create table rebuilt_api_keys (
  user_id blob not null,
  id blob not null,
  scope text not null,
  name text,
  prefix text not null,
  key_hash blob not null,
  created_at integer not null,
  last_used_at integer,
  expires_at integer,
  revoked_at integer,
  rights text,
  previous_expires_at integer,
  previous_key_hash blob,
  password_confirmed_at integer,
  constraint pk_api_keys primary key (user_id, id),
  constraint uq_api_keys_key_hash unique (user_id, key_hash),
  constraint fk_api_keys_user_id foreign key (user_id) references users (id) on delete cascade,
  constraint ck_api_keys_scope check (scope in ('user', 'service')),
  constraint ck_api_keys_previous check ((previous_key_hash is null) = (previous_expires_at is null)),
  constraint ck_api_keys_rights check (json_valid(rights))
) strict, without rowid;
insert into rebuilt_api_keys (user_id, id, scope, name, prefix, key_hash, created_at, last_used_at, expires_at, revoked_at)
  select user_id, id, scope, name, prefix, key_hash, created_at, last_used_at, expires_at, revoked_at
  from api_keys;
insert into proof (no_row_is_lost)
  select (select count(*) from rebuilt_api_keys) = (select count(*) from api_keys);
drop table api_keys;
alter table rebuilt_api_keys rename to api_keys;
create unique index ix_api_keys_previous_key_hash on api_keys (user_id, previous_key_hash) where previous_key_hash is not null;
insert into proof (references_hold)
  select not exists (select 1 from pragma_foreign_key_check);
drop table temp.proof;
