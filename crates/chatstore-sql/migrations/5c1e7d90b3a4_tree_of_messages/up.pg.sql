alter table conversations add column head_seq bigint;
alter table messages add column parent_seq bigint;
create index ix_messages_jump on messages (owner_id, conversation_id, seq, parent_seq) where parent_seq <> seq - 1;
create index ix_messages_parent_seq on messages (owner_id, conversation_id, parent_seq, seq) where parent_seq is not null;
