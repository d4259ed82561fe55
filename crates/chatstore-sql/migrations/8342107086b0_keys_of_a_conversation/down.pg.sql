-- Programs that do not know the column would remember these keys for ever.
update idempotency_keys set expires_at = now() + interval '1 day' where conversation_id is not null;
alter table idempotency_keys drop constraint fk_idempotency_keys_conversation;
drop index ix_idempotency_keys_conversation;
alter table idempotency_keys drop column conversation_id;
