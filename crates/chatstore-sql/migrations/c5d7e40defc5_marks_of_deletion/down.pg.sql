-- What is half deleted must not come back: start a server, which finishes it.
alter table users add constraint no_deletion_is_unfinished check (deleted_at is null);
alter table conversations add constraint no_deletion_is_unfinished check (deleted_at is null);
drop index ix_users_deleted;
drop index ix_conversations_deleted;
alter table users
  drop constraint ck_users_identity,
  drop column deleted_at;
alter table conversations drop column deleted_at;
alter table users add constraint ck_users_identity check (username_key is not null or email_key is not null);
