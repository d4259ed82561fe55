drop index ix_messages_jump;
drop index ix_messages_parent_seq;
alter table messages drop column parent_seq;
alter table conversations drop column head_seq;
