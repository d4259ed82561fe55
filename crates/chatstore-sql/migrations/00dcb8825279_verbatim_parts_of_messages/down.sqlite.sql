pragma foreign_keys = off;
update messages set parts = null where parts is not null and (
  instr(replace(parts, '\\', ''), '\u0000') > 0
  or exists (
    select 1 from json_tree(messages.parts) as entry where entry.key is not null
    group by entry.parent, entry.key having count(*) > 1
  )
  or exists (
    select 1 from json_tree(messages.parts) as entry
    where typeof(entry.atom) = 'real' and abs(entry.atom) > 1.7976931348623157e308
  )
  or instr(lower(parts), '\ud') > 0 and exists (
    with recursive second(byte) as (select 160 union all select byte + 1 from second where byte < 191)
    select 1 from json_tree(messages.parts) as entry, second
    where instr(cast(entry.atom as blob), unhex('ED' || printf('%02X', second.byte))) > 0
    or instr(cast(entry.key as blob), unhex('ED' || printf('%02X', second.byte))) > 0
  )
);
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
  constraint pk_messages primary key (owner_id, conversation_id, seq),
  constraint uq_messages_id unique (owner_id, id),
  constraint fk_messages_conversation foreign key (owner_id, conversation_id)
    references conversations (owner_id, id) on delete cascade,
  constraint fk_messages_sender_id foreign key (sender_id) references users (id),
  constraint ck_messages_role check (role in ('system', 'developer', 'user', 'assistant', 'tool')),
  constraint ck_messages_seq check (seq > 0),
  constraint ck_messages_token_count check (token_count >= 0),
  constraint ck_messages_parts check (json_valid(parts)),
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
insert into proof (references_hold)
  select not exists (select 1 from pragma_foreign_key_check);
drop table temp.proof;
