drop index ix_conversations_archived_updated_at;
drop index ix_conversations_archived_created_at;
drop index ix_conversations_updated_at;
drop index ix_conversations_created_at;
alter table conversations drop column archived_at;
create index ix_conversations_updated_at on conversations (owner_id, updated_at desc, id desc);
create index ix_conversations_created_at on conversations (owner_id, created_at desc, id desc);
