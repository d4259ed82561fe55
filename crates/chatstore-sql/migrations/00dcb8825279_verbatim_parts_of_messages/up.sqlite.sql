pragma foreign_keys = off;
create temp table proof (
  no_row_is_lost integer,
  references_hold integer,
  constraint no_row_is_lost check (no_row_is_lost),
  constraint references_hold check (references_hold)
) strict;
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
insert into rebuilt_messages (owner_id, conversation_id, seq, id, sender_id, role, content, parts, model, token_count, used_documents, metadata, created_at, edited_at)
  select owner_id, conversation_id, seq, id, sender_id, role, content, parts, model, token_count, used_documents, metadata, created_at, edited_at
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
update messages set model = responses.model_used from responses
  where responses.owner_id = messages.owner_id and responses.message_id = messages.id
  and messages.role = 'assistant' and messages.model is null;
