pragma foreign_keys = off;
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
  constraint pk_users primary key (id),
  constraint uq_users_username_key unique (username_key),
  constraint ck_users_role check (role in ('user', 'admin')),
  constraint ck_users_identity check (username_key is not null or email_key is not null or deleted_at is not null),
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
  constraint pk_api_keys primary key (user_id, id),
  constraint uq_api_keys_key_hash unique (user_id, key_hash),
  constraint fk_api_keys_user_id foreign key (user_id) references users (id) on delete cascade,
  constraint ck_api_keys_scope check (scope in ('user', 'service'))
) strict, without rowid;
insert into rebuilt_api_keys (user_id, id, scope, name, prefix, key_hash, created_at, last_used_at, expires_at, revoked_at)
  select user_id, id, scope, name, prefix, key_hash, created_at, last_used_at, expires_at, revoked_at
  from api_keys;
insert into proof (no_row_is_lost)
  select (select count(*) from rebuilt_api_keys) = (select count(*) from api_keys);
drop table api_keys;
alter table rebuilt_api_keys rename to api_keys;
create table rebuilt_sessions (
  user_id blob not null,
  id blob not null,
  access_jti blob not null,
  user_agent text,
  ip text,
  created_at integer not null,
  last_activity integer not null,
  expires_at integer not null,
  revoked_at integer,
  revoke_reason text,
  constraint pk_sessions primary key (user_id, id),
  constraint uq_sessions_access_jti unique (user_id, access_jti),
  constraint fk_sessions_user_id foreign key (user_id) references users (id) on delete cascade,
  constraint ck_sessions_revoked check ((revoked_at is null) = (revoke_reason is null))
) strict, without rowid;
insert into rebuilt_sessions (user_id, id, access_jti, user_agent, ip, created_at, last_activity, expires_at, revoked_at, revoke_reason)
  select user_id, id, access_jti, user_agent, ip, created_at, last_activity, expires_at, revoked_at, revoke_reason
  from sessions;
insert into proof (no_row_is_lost)
  select (select count(*) from rebuilt_sessions) = (select count(*) from sessions);
drop table sessions;
alter table rebuilt_sessions rename to sessions;
create index ix_sessions_last_activity on sessions (user_id, last_activity desc, id desc);
create index ix_sessions_expires_at on sessions (expires_at);
insert into proof (references_hold)
  select not exists (select 1 from pragma_foreign_key_check);
drop table temp.proof;
