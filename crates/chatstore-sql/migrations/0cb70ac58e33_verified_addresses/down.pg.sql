drop index ix_users_verified_email;
drop index ix_users_claimed_email;
drop index ix_users_verified_password;
drop index ix_users_claimed_password;
alter table users drop column email_verified_at;
alter table users add constraint uq_users_email_key unique (email_key);
