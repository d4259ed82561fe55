alter table idempotency_keys add column conversation_id uuid;
alter table idempotency_keys add constraint fk_idempotency_keys_conversation foreign key (owner_id, conversation_id)
    references conversations (owner_id, id) on delete cascade;
create index ix_idempotency_keys_conversation on idempotency_keys (owner_id, conversation_id) where conversation_id is not null;
