pragma foreign_keys = off;
create temp table proof (
  no_row_is_lost integer,
  references_hold integer,
  constraint no_row_is_lost check (no_row_is_lost),
  constraint references_hold check (references_hold)
) strict;
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
  constraint pk_conversations primary key (owner_id, id),
  constraint uq_conversations_thread_id unique (owner_id, thread_id),
  constraint fk_conversations_owner_id foreign key (owner_id) references users (id) on delete cascade,
  constraint ck_conversations_counts check (message_count >= 0 and last_seq >= message_count),
  constraint ck_conversations_metadata check (json_valid(metadata))
) strict, without rowid;
insert into rebuilt_conversations (owner_id, id, thread_id, title, default_model, last_seq, message_count, last_message, last_message_at, revision, metadata, created_at, updated_at)
  select owner_id, id, thread_id, title, default_model, last_seq, message_count, last_message, last_message_at, revision, metadata, created_at, updated_at
  from conversations;
insert into proof (no_row_is_lost)
  select (select count(*) from rebuilt_conversations) = (select count(*) from conversations);
drop table conversations;
alter table rebuilt_conversations rename to conversations;
create index ix_conversations_updated_at on conversations (owner_id, updated_at desc, id desc);
create index ix_conversations_created_at on conversations (owner_id, created_at desc, id desc);
insert into proof (references_hold)
  select not exists (select 1 from pragma_foreign_key_check);
drop table temp.proof;
