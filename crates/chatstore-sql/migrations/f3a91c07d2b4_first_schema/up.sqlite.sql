create table users (
  id blob not null,
  username text,
  username_key text,
  email text,
  email_key text,
  full_name text,
  password_hash text,
  role text not null,
  is_active integer not null,
  must_change_password integer not null,
  metadata text not null,
  created_at integer not null,
  updated_at integer not null,
  constraint pk_users primary key (id),
  constraint uq_users_username_key unique (username_key),
  constraint uq_users_email_key unique (email_key),
  constraint ck_users_role check (role in ('user', 'admin')),
  constraint ck_users_identity check (username_key is not null or email_key is not null),
  constraint ck_users_is_active check (is_active in (0, 1)),
  constraint ck_users_must_change_password check (must_change_password in (0, 1)),
  constraint ck_users_metadata check (json_valid(metadata))
) strict, without rowid;
create index ix_users_created_at on users (created_at, id);

create table conversations (
  owner_id blob not null,
  id blob not null,
  thread_id text,
  title text,
  default_model text,
  last_seq integer not null,
  message_count integer not null,
  last_message text,
  last_message_at integer,
  revision integer not null,
  metadata text not null,
  created_at integer not null,
  updated_at integer not null,
  constraint pk_conversations primary key (owner_id, id),
  constraint uq_conversations_thread_id unique (owner_id, thread_id),
  constraint fk_conversations_owner_id foreign key (owner_id) references users (id) on delete cascade,
  constraint ck_conversations_counts check (message_count >= 0 and last_seq >= message_count),
  constraint ck_conversations_metadata check (json_valid(metadata))
) strict, without rowid;
create index ix_conversations_updated_at on conversations (owner_id, updated_at desc, id desc);
create index ix_conversations_created_at on conversations (owner_id, created_at desc, id desc);

create table conversation_members (
  owner_id blob not null,
  conversation_id blob not null,
  user_id blob not null,
  role text not null,
  joined_at integer not null,
  constraint pk_conversation_members primary key (owner_id, conversation_id, user_id),
  constraint fk_conversation_members_conversation foreign key (owner_id, conversation_id)
    references conversations (owner_id, id) on delete cascade,
  constraint fk_conversation_members_user_id foreign key (user_id) references users (id) on delete cascade,
  constraint ck_conversation_members_role check (role in ('editor', 'viewer')),
  constraint ck_conversation_members_not_owner check (user_id <> owner_id)
) strict, without rowid;
create index ix_conversation_members_user_id on conversation_members (user_id, conversation_id);

create table messages (
  owner_id blob not null,
  conversation_id blob not null,
  seq integer not null,
  id blob not null,
  sender_id blob,
  role text not null,
  content text not null,
  parts text,
  model text,
  token_count integer,
  used_documents text not null,
  metadata text not null,
  created_at integer not null,
  edited_at integer,
  constraint pk_messages primary key (owner_id, conversation_id, seq),
  constraint uq_messages_id unique (owner_id, id),
  constraint fk_messages_conversation foreign key (owner_id, conversation_id)
    references conversations (owner_id, id) on delete cascade,
  constraint fk_messages_sender_id foreign key (sender_id) references users (id),
  constraint ck_messages_role check (role in ('system', 'developer', 'user', 'assistant', 'tool')),
  constraint ck_messages_seq check (seq > 0),
  constraint ck_messages_token_count check (token_count >= 0),
  constraint ck_messages_parts check (json_valid(parts)),
  constraint ck_messages_used_documents check (json_valid(used_documents)),
  constraint ck_messages_metadata check (json_valid(metadata))
) strict, without rowid;
create index ix_messages_sender_id on messages (sender_id) where sender_id is not null;

create table responses (
  owner_id blob not null,
  message_id blob not null,
  conversation_id blob not null,
  model_used text not null,
  tokens_prompt integer,
  tokens_completion integer,
  tokens_total integer,
  tokens_cached integer,
  completion_time_ms integer,
  finish_reason text,
  from_cache integer not null,
  created_at integer not null,
  constraint pk_responses primary key (owner_id, message_id),
  constraint fk_responses_message foreign key (owner_id, message_id)
    references messages (owner_id, id) on delete cascade,
  constraint ck_responses_from_cache check (from_cache in (0, 1))
) strict, without rowid;

create table usage_daily (
  owner_id blob not null,
  day integer not null,
  model text not null,
  requests integer not null,
  cached_requests integer not null,
  tokens_prompt integer not null,
  tokens_completion integer not null,
  tokens_total integer not null,
  completion_time_ms_sum integer not null,
  cost_micros integer not null,
  constraint pk_usage_daily primary key (owner_id, day, model),
  constraint fk_usage_daily_owner_id foreign key (owner_id) references users (id) on delete cascade
) strict, without rowid;

create table api_keys (
  user_id blob not null,
  id blob not null,
  scope text not null,
  name text,
  prefix text not null,
  key_hash blob not null,
  created_at integer not null,
  last_used_at integer,
  expires_at integer,
  revoked_at integer,
  constraint pk_api_keys primary key (user_id, id),
  constraint uq_api_keys_key_hash unique (user_id, key_hash),
  constraint fk_api_keys_user_id foreign key (user_id) references users (id) on delete cascade,
  constraint ck_api_keys_scope check (scope in ('user', 'service'))
) strict, without rowid;

create table idempotency_keys (
  owner_id blob not null,
  caller_id blob not null,
  key text not null,
  operation text not null,
  request_sha256 blob not null,
  status integer not null,
  result text not null,
  created_at integer not null,
  expires_at integer not null,
  constraint pk_idempotency_keys primary key (owner_id, caller_id, key),
  constraint fk_idempotency_keys_owner_id foreign key (owner_id) references users (id) on delete cascade,
  constraint fk_idempotency_keys_caller_id foreign key (caller_id) references users (id) on delete cascade,
  constraint ck_idempotency_keys_result check (json_valid(result))
) strict, without rowid;
create index ix_idempotency_keys_caller_id on idempotency_keys (caller_id, key);
create index ix_idempotency_keys_expires_at on idempotency_keys (expires_at);

insert into users (id, username, username_key, role, is_active, must_change_password, metadata, created_at, updated_at)
values (x'00000000000000000000000000000000', 'anonymous', 'anonymous', 'user', 1, 0, '{}',
        1767225600000000, 1767225600000000);
