create table sessions (
  user_id blob not null,
  id blob not null,
  access_jti blob not null,
  user_agent text,
  ip text,
  created_at integer not null,
  last_activity integer not null,
  expires_at integer not null,
  revoked_at integer,
  revoke_reason text,
  constraint pk_sessions primary key (user_id, id),
  constraint uq_sessions_access_jti unique (user_id, access_jti),
  constraint fk_sessions_user_id foreign key (user_id) references users (id) on delete cascade,
  constraint ck_sessions_revoked check ((revoked_at is null) = (revoke_reason is null))
) strict, without rowid;
create index ix_sessions_last_activity on sessions (user_id, last_activity desc, id desc);
create index ix_sessions_expires_at on sessions (expires_at);
create table refresh_tokens (
  user_id blob not null,
  id blob not null,
  session_id blob not null,
  parent_id blob,
  counter integer not null,
  token_hash blob not null,
  created_at integer not null,
  rotated_at integer,
  confirmed_at integer,
  expires_at integer not null,
  revoked_at integer,
  constraint pk_refresh_tokens primary key (user_id, id),
  constraint uq_refresh_tokens_token_hash unique (user_id, token_hash),
  constraint uq_refresh_tokens_counter unique (user_id, session_id, counter),
  constraint fk_refresh_tokens_session foreign key (user_id, session_id)
    references sessions (user_id, id) on delete cascade,
  constraint ck_refresh_tokens_counter check (counter >= 0)
) strict, without rowid;
create index ix_refresh_tokens_expires_at on refresh_tokens (expires_at);
