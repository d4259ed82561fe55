drop index ix_conversations_updated_at;
drop index ix_conversations_created_at;
alter table conversations add column archived_at timestamptz;
create index ix_conversations_archived_updated_at on conversations (owner_id, updated_at desc, id desc) where archived_at is not null;
create index ix_conversations_archived_created_at on conversations (owner_id, created_at desc, id desc) where archived_at is not null;
create index ix_conversations_updated_at on conversations (owner_id, updated_at desc, id desc) where archived_at is null;
create index ix_conversations_created_at on conversations (owner_id, created_at desc, id desc) where archived_at is null;
