pragma foreign_keys = off;
create temp table proof (
  no_row_is_lost integer,
  references_hold integer,
  constraint no_row_is_lost check (no_row_is_lost),
  constraint references_hold check (references_hold)
) strict;
create table rebuilt_idempotency_keys (
  owner_id blob not null,
  caller_id blob not null,
  key text not null,
  operation text not null,
  request_sha256 blob not null,
  status integer not null,
  result text not null,
  created_at integer not null,
  expires_at integer not null,
  conversation_id blob,
  constraint pk_idempotency_keys primary key (owner_id, caller_id, key),
  constraint fk_idempotency_keys_owner_id foreign key (owner_id) references users (id) on delete cascade,
  constraint fk_idempotency_keys_caller_id foreign key (caller_id) references users (id) on delete cascade,
  constraint fk_idempotency_keys_conversation foreign key (owner_id, conversation_id)
    references conversations (owner_id, id) on delete cascade,
  constraint ck_idempotency_keys_result check (json_valid(result))
) strict, without rowid;
insert into rebuilt_idempotency_keys (owner_id, caller_id, key, operation, request_sha256, status, result, created_at, expires_at)
  select owner_id, caller_id, key, operation, request_sha256, status, result, created_at, expires_at
  from idempotency_keys;
insert into proof (no_row_is_lost)
  select (select count(*) from rebuilt_idempotency_keys) = (select count(*) from idempotency_keys);
drop table idempotency_keys;
alter table rebuilt_idempotency_keys rename to idempotency_keys;
create index ix_idempotency_keys_caller_id on idempotency_keys (caller_id, key);
create index ix_idempotency_keys_expires_at on idempotency_keys (expires_at);
create index ix_idempotency_keys_conversation on idempotency_keys (owner_id, conversation_id) where conversation_id is not null;
insert into proof (references_hold)
  select not exists (select 1 from pragma_foreign_key_check);
drop table temp.proof;
