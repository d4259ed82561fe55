create table users (
  id uuid not null,
  username text collate "C",
  username_key text collate "C",
  email text collate "C",
  email_key text collate "C",
  full_name text collate "C",
  password_hash text collate "C",
  role text collate "C" not null,
  is_active boolean not null,
  must_change_password boolean not null,
  metadata jsonb not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  constraint pk_users primary key (id),
  constraint uq_users_username_key unique (username_key),
  constraint uq_users_email_key unique (email_key),
  constraint ck_users_role check (role in ('user', 'admin')),
  constraint ck_users_identity check (username_key is not null or email_key is not null)
);
create index ix_users_created_at on users (created_at, id);

create table conversations (
  owner_id uuid not null,
  id uuid not null,
  thread_id text collate "C",
  title text collate "C",
  default_model text collate "C",
  last_seq bigint not null,
  message_count bigint not null,
  last_message text collate "C",
  last_message_at timestamptz,
  revision bigint not null,
  metadata jsonb not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  constraint pk_conversations primary key (owner_id, id),
  constraint uq_conversations_thread_id unique (owner_id, thread_id),
  constraint fk_conversations_owner_id foreign key (owner_id) references users (id) on delete cascade,
  constraint ck_conversations_counts check (message_count >= 0 and last_seq >= message_count)
);
create index ix_conversations_updated_at on conversations (owner_id, updated_at desc, id desc);
create index ix_conversations_created_at on conversations (owner_id, created_at desc, id desc);

create table conversation_members (
  owner_id uuid not null,
  conversation_id uuid not null,
  user_id uuid not null,
  role text collate "C" not null,
  joined_at timestamptz not null,
  constraint pk_conversation_members primary key (owner_id, conversation_id, user_id),
  constraint fk_conversation_members_conversation foreign key (owner_id, conversation_id)
    references conversations (owner_id, id) on delete cascade,
  constraint fk_conversation_members_user_id foreign key (user_id) references users (id) on delete cascade,
  constraint ck_conversation_members_role check (role in ('editor', 'viewer')),
  constraint ck_conversation_members_not_owner check (user_id <> owner_id)
);
create index ix_conversation_members_user_id on conversation_members (user_id, conversation_id);

create table messages (
  owner_id uuid not null,
  conversation_id uuid not null,
  seq bigint not null,
  id uuid not null,
  sender_id uuid,
  role text collate "C" not null,
  content text collate "C" not null,
  parts jsonb,
  model text collate "C",
  token_count bigint,
  used_documents jsonb not null,
  metadata jsonb not null,
  created_at timestamptz not null,
  edited_at timestamptz,
  constraint pk_messages primary key (owner_id, conversation_id, seq),
  constraint uq_messages_id unique (owner_id, id),
  constraint fk_messages_conversation foreign key (owner_id, conversation_id)
    references conversations (owner_id, id) on delete cascade,
  constraint fk_messages_sender_id foreign key (sender_id) references users (id),
  constraint ck_messages_role check (role in ('system', 'developer', 'user', 'assistant', 'tool')),
  constraint ck_messages_seq check (seq > 0),
  constraint ck_messages_token_count check (token_count >= 0)
);
create index ix_messages_sender_id on messages (sender_id) where sender_id is not null;

create table responses (
  owner_id uuid not null,
  message_id uuid not null,
  conversation_id uuid not null,
  model_used text collate "C" not null,
  tokens_prompt bigint,
  tokens_completion bigint,
  tokens_total bigint,
  tokens_cached bigint,
  completion_time_ms bigint,
  finish_reason text collate "C",
  from_cache boolean not null,
  created_at timestamptz not null,
  constraint pk_responses primary key (owner_id, message_id),
  constraint fk_responses_message foreign key (owner_id, message_id)
    references messages (owner_id, id) on delete cascade
);

create table usage_daily (
  owner_id uuid not null,
  day timestamptz not null,
  model text collate "C" not null,
  requests bigint not null,
  cached_requests bigint not null,
  tokens_prompt bigint not null,
  tokens_completion bigint not null,
  tokens_total bigint not null,
  completion_time_ms_sum bigint not null,
  cost_micros bigint not null,
  constraint pk_usage_daily primary key (owner_id, day, model),
  constraint fk_usage_daily_owner_id foreign key (owner_id) references users (id) on delete cascade
);

create table api_keys (
  user_id uuid not null,
  id uuid not null,
  scope text collate "C" not null,
  name text collate "C",
  prefix text collate "C" not null,
  key_hash bytea not null,
  created_at timestamptz not null,
  last_used_at timestamptz,
  expires_at timestamptz,
  revoked_at timestamptz,
  constraint pk_api_keys primary key (user_id, id),
  constraint uq_api_keys_key_hash unique (user_id, key_hash),
  constraint fk_api_keys_user_id foreign key (user_id) references users (id) on delete cascade,
  constraint ck_api_keys_scope check (scope in ('user', 'service'))
);

create table idempotency_keys (
  owner_id uuid not null,
  caller_id uuid not null,
  key text collate "C" not null,
  operation text collate "C" not null,
  request_sha256 bytea not null,
  status bigint not null,
  result jsonb not null,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  constraint pk_idempotency_keys primary key (owner_id, caller_id, key),
  constraint fk_idempotency_keys_owner_id foreign key (owner_id) references users (id) on delete cascade,
  constraint fk_idempotency_keys_caller_id foreign key (caller_id) references users (id) on delete cascade
);
create index ix_idempotency_keys_caller_id on idempotency_keys (caller_id, key);
create index ix_idempotency_keys_expires_at on idempotency_keys (expires_at);

insert into users (id, username, username_key, role, is_active, must_change_password, metadata, created_at, updated_at)
values ('00000000-0000-0000-0000-000000000000', 'anonymous', 'anonymous', 'user', true, false, '{}',
        '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z');
