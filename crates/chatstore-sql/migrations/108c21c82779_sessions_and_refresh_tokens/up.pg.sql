create table sessions (
  user_id uuid not null,
  id uuid not null,
  access_jti uuid not null,
  user_agent text collate "C",
  ip text collate "C",
  created_at timestamptz not null,
  last_activity timestamptz not null,
  expires_at timestamptz not null,
  revoked_at timestamptz,
  revoke_reason text collate "C",
  constraint pk_sessions primary key (user_id, id),
  constraint uq_sessions_access_jti unique (user_id, access_jti),
  constraint fk_sessions_user_id foreign key (user_id) references users (id) on delete cascade,
  constraint ck_sessions_revoked check ((revoked_at is null) = (revoke_reason is null))
);
create index ix_sessions_last_activity on sessions (user_id, last_activity desc, id desc);
create index ix_sessions_expires_at on sessions (expires_at);
create table refresh_tokens (
  user_id uuid not null,
  id uuid not null,
  session_id uuid not null,
  parent_id uuid,
  counter bigint not null,
  token_hash bytea not null,
  created_at timestamptz not null,
  rotated_at timestamptz,
  confirmed_at timestamptz,
  expires_at timestamptz not null,
  revoked_at timestamptz,
  constraint pk_refresh_tokens primary key (user_id, id),
  constraint uq_refresh_tokens_token_hash unique (user_id, token_hash),
  constraint uq_refresh_tokens_counter unique (user_id, session_id, counter),
  constraint fk_refresh_tokens_session foreign key (user_id, session_id)
    references sessions (user_id, id) on delete cascade,
  constraint ck_refresh_tokens_counter check (counter >= 0)
);
create index ix_refresh_tokens_expires_at on refresh_tokens (expires_at);
