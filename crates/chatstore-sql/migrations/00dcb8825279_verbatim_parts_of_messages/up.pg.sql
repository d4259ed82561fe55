update messages set model = responses.model_used from responses
  where responses.owner_id = messages.owner_id and responses.message_id = messages.id
  and messages.role = 'assistant' and messages.model is null;
alter table messages
  add column format text collate "C",
  add column external_id text collate "C";
alter table messages alter column parts type text collate "C" using cast(parts as text);
create index ix_messages_format on messages (owner_id, conversation_id, format, seq) where format is not null;
create unique index ix_messages_external_id on messages (owner_id, conversation_id, external_id) where external_id is not null;
