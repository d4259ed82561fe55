alter table users drop constraint uq_users_email_key;
alter table users add column email_verified_at timestamptz;
create unique index ix_users_verified_email on users (email_key) where email_verified_at is not null;
create unique index ix_users_claimed_email on users (email_key) where email_verified_at is null and email_key is not null;
create index ix_users_verified_password on users (id) where email_verified_at is not null and password_hash is not null;
create index ix_users_claimed_password on users (id) where email_verified_at is null and email_key is not null and password_hash is not null;
