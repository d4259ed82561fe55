alter table users drop constraint ck_users_identity;
alter table users add column deleted_at timestamptz;
alter table users add constraint ck_users_identity check (username_key is not null or email_key is not null or deleted_at is not null);
alter table conversations add column deleted_at timestamptz;
create index ix_users_deleted on users (id) where deleted_at is not null;
create index ix_conversations_deleted on conversations (owner_id, id) where deleted_at is not null;
