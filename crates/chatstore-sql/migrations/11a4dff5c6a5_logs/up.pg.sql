create table logs (
  user_id uuid not null,
  id uuid not null,
  at timestamptz not null,
  level text collate "C" not null,
  event text collate "C" not null,
  conversation_id uuid,
  request_id text collate "C",
  actor_id uuid,
  key_id uuid,
  acting_for_id uuid,
  data jsonb not null,
  constraint pk_logs primary key (user_id, id),
  constraint fk_logs_user_id foreign key (user_id) references users (id) on delete cascade,
  constraint ck_logs_level check (level in ('debug', 'info', 'warn', 'error'))
);
create index ix_logs_id on logs (id);
create index ix_logs_level on logs (level, id) where level <> 'info';
create index ix_logs_event on logs (event, id);
create index ix_logs_actor_id on logs (actor_id) where actor_id <> user_id;
create index ix_logs_acting_for_id on logs (acting_for_id) where acting_for_id <> user_id;
