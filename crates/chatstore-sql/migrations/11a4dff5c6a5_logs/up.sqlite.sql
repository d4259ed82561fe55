create table logs (
  user_id blob not null,
  id blob not null,
  at integer not null,
  level text not null,
  event text not null,
  conversation_id blob,
  request_id text,
  actor_id blob,
  key_id blob,
  acting_for_id blob,
  data text not null,
  constraint pk_logs primary key (user_id, id),
  constraint fk_logs_user_id foreign key (user_id) references users (id) on delete cascade,
  constraint ck_logs_level check (level in ('debug', 'info', 'warn', 'error')),
  constraint ck_logs_data check (json_valid(data))
) strict, without rowid;
create index ix_logs_id on logs (id);
create index ix_logs_level on logs (level, id) where level <> 'info';
create index ix_logs_event on logs (event, id);
create index ix_logs_actor_id on logs (actor_id) where actor_id <> user_id;
create index ix_logs_acting_for_id on logs (acting_for_id) where acting_for_id <> user_id;
