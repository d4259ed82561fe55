pragma foreign_keys = off;
-- What is half deleted must not come back: start a server, which finishes it.
create temp table proof (
  no_deletion_is_unfinished integer,
  no_row_is_lost integer,
  references_hold integer,
  constraint no_deletion_is_unfinished check (no_deletion_is_unfinished),
  constraint no_row_is_lost check (no_row_is_lost),
  constraint references_hold check (references_hold)
) strict;
insert into proof (no_deletion_is_unfinished)
  select not exists (select 1 from users where deleted_at is not null)
  and not exists (select 1 from conversations where deleted_at is not null);
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
  constraint pk_users primary key (id),
  constraint uq_users_username_key unique (username_key),
  constraint uq_users_email_key unique (email_key),
  constraint ck_users_role check (role in ('user', 'admin')),
  constraint ck_users_identity check (username_key is not null or email_key is not null),
  constraint ck_users_is_active check (is_active in (0, 1)),
  constraint ck_users_must_change_password check (must_change_password in (0, 1)),
  constraint ck_users_metadata check (json_valid(metadata))
) strict, without rowid;
insert into rebuilt_users (id, username, username_key, email, email_key, full_name, password_hash, role, is_active, must_change_password, metadata, created_at, updated_at)
  select id, username, username_key, email, email_key, full_name, password_hash, role, is_active, must_change_password, metadata, created_at, updated_at
  from users;
insert into proof (no_row_is_lost)
  select (select count(*) from rebuilt_users) = (select count(*) from users);
drop table users;
alter table rebuilt_users rename to users;
create index ix_users_created_at on users (created_at, id);
create table rebuilt_conversations (
  owner_id blob not null,
  id blob not null,
  thread_id text,
  title text,
  default_model text,
  last_seq integer not null,
  message_count integer not null,
  last_message text,
  last_message_at integer,
  revision integer not null,
  metadata text not null,
  created_at integer not null,
  updated_at integer not null,
  archived_at integer,
  constraint pk_conversations primary key (owner_id, id),
  constraint uq_conversations_thread_id unique (owner_id, thread_id),
  constraint fk_conversations_owner_id foreign key (owner_id) references users (id) on delete cascade,
  constraint ck_conversations_counts check (message_count >= 0 and last_seq >= message_count),
  constraint ck_conversations_metadata check (json_valid(metadata))
) strict, without rowid;
insert into rebuilt_conversations (owner_id, id, thread_id, title, default_model, last_seq, message_count, last_message, last_message_at, revision, metadata, created_at, updated_at, archived_at)
  select owner_id, id, thread_id, title, default_model, last_seq, message_count, last_message, last_message_at, revision, metadata, created_at, updated_at, archived_at
  from conversations;
insert into proof (no_row_is_lost)
  select (select count(*) from rebuilt_conversations) = (select count(*) from conversations);
drop table conversations;
alter table rebuilt_conversations rename to conversations;
create index ix_conversations_updated_at on conversations (owner_id, updated_at desc, id desc) where archived_at is null;
create index ix_conversations_created_at on conversations (owner_id, created_at desc, id desc) where archived_at is null;
create index ix_conversations_archived_updated_at on conversations (owner_id, updated_at desc, id desc) where archived_at is not null;
create index ix_conversations_archived_created_at on conversations (owner_id, created_at desc, id desc) where archived_at is not null;
insert into proof (references_hold)
  select not exists (select 1 from pragma_foreign_key_check);
drop table temp.proof;
