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
  archived_at integer,
  deleted_at integer,
  constraint pk_conversations primary key (owner_id, id),
  constraint uq_conversations_thread_id unique (owner_id, thread_id),
  constraint fk_conversations_owner_id foreign key (owner_id) references users (id) on delete cascade,
  constraint ck_conversations_counts check (message_count >= 0 and last_seq >= message_count),
  constraint ck_conversations_metadata check (json_valid(metadata))
) strict, without rowid;
insert into rebuilt_conversations (owner_id, id, thread_id, title, default_model, last_seq, message_count, last_message, last_message_at, revision, metadata, created_at, updated_at, archived_at, deleted_at)
  select owner_id, id, thread_id, title, default_model, last_seq, message_count, last_message, last_message_at, revision, metadata, created_at, updated_at, archived_at, deleted_at
  from conversations;
insert into proof (no_row_is_lost)
  select (select count(*) from rebuilt_conversations) = (select count(*) from conversations);
drop table conversations;
alter table rebuilt_conversations rename to conversations;
create index ix_conversations_updated_at on conversations (owner_id, updated_at desc, id desc) where archived_at is null;
create index ix_conversations_created_at on conversations (owner_id, created_at desc, id desc) where archived_at is null;
create index ix_conversations_archived_updated_at on conversations (owner_id, updated_at desc, id desc) where archived_at is not null;
create index ix_conversations_archived_created_at on conversations (owner_id, created_at desc, id desc) where archived_at is not null;
create index ix_conversations_deleted on conversations (owner_id, id) where deleted_at is not null;
create table rebuilt_messages (
  owner_id blob not null,
  conversation_id blob not null,
  seq integer not null,
  id blob not null,
  sender_id blob,
  role text not null,
  content text not null,
  parts text,
  model text,
  token_count integer,
  used_documents text not null,
  metadata text not null,
  created_at integer not null,
  edited_at integer,
  format text,
  external_id text,
  constraint pk_messages primary key (owner_id, conversation_id, seq),
  constraint uq_messages_id unique (owner_id, id),
  constraint fk_messages_conversation foreign key (owner_id, conversation_id)
    references conversations (owner_id, id) on delete cascade,
  constraint fk_messages_sender_id foreign key (sender_id) references users (id),
  constraint ck_messages_role check (role in ('system', 'developer', 'user', 'assistant', 'tool')),
  constraint ck_messages_seq check (seq > 0),
  constraint ck_messages_token_count check (token_count >= 0),
  constraint ck_messages_used_documents check (json_valid(used_documents)),
  constraint ck_messages_metadata check (json_valid(metadata))
) strict, without rowid;
insert into rebuilt_messages (owner_id, conversation_id, seq, id, sender_id, role, content, parts, model, token_count, used_documents, metadata, created_at, edited_at, format, external_id)
  select owner_id, conversation_id, seq, id, sender_id, role, content, parts, model, token_count, used_documents, metadata, created_at, edited_at, format, external_id
  from messages;
insert into proof (no_row_is_lost)
  select (select count(*) from rebuilt_messages) = (select count(*) from messages);
drop table messages;
alter table rebuilt_messages rename to messages;
create index ix_messages_sender_id on messages (sender_id) where sender_id is not null;
create index ix_messages_format on messages (owner_id, conversation_id, format, seq) where format is not null;
create unique index ix_messages_external_id on messages (owner_id, conversation_id, external_id) where external_id is not null;
insert into proof (references_hold)
  select not exists (select 1 from pragma_foreign_key_check);
drop table temp.proof;
