-- Four roles for the database of chatstore, each with the rights that it needs:
--   chatstore_owner     owns the tables; nobody logs in as it
--   chatstore_migrator  creates and changes the tables: chatstore migrate
--   chatstore_server    reads and writes rows: chatstore serve and all other commands
--   chatstore_reader    reads rows for reports, except credentials: no password, key, session or token
--
-- Run this in the database of chatstore as a superuser, before the first `chatstore migrate upgrade` or later. It may be
-- run again. Afterwards give both that log in a password:
--   \password chatstore_migrator
--   \password chatstore_server
--   \password chatstore_reader
-- After an upgrade that adds tables or columns, run it again: nothing new is readable for the reader until then.

do $$
begin
  if not exists (select from pg_roles where rolname = 'chatstore_owner') then
    create role chatstore_owner nologin;
  end if;
  if not exists (select from pg_roles where rolname = 'chatstore_migrator') then
    create role chatstore_migrator login noinherit;
  end if;
  if not exists (select from pg_roles where rolname = 'chatstore_server') then
    create role chatstore_server login;
  end if;
  if not exists (select from pg_roles where rolname = 'chatstore_reader') then
    create role chatstore_reader login;
  end if;
end
$$;

-- What the migrator creates belongs to the owner.
grant chatstore_owner to chatstore_migrator;

do $$
declare
  here text := current_database();
  found record;
begin
  execute format('alter role chatstore_migrator in database %I set role chatstore_owner', here);
  execute format('revoke all on database %I from public', here);
  execute format('grant connect on database %I to chatstore_migrator, chatstore_server, chatstore_reader', here);
  execute format('alter role chatstore_reader in database %I set default_transaction_read_only to on', here);
  -- Revisions are compared in a schema that is created and rolled back.
  execute format('grant create on database %I to chatstore_owner', here);
  -- Tables of chatstore that another role created.
  for found in select tablename from pg_tables where schemaname = 'public' and tablename in ('users', 'conversations', 'conversation_members', 'messages', 'responses', 'usage_daily', 'documents', 'api_keys', 'sessions', 'refresh_tokens', 'idempotency_keys', 'identities', 'logs', 'chatstore_migrations', 'chatstore_migrations_log') loop
    execute format('alter table public.%I owner to chatstore_owner', found.tablename);
    execute format('grant select, insert, update, delete on public.%I to chatstore_server', found.tablename);
  end loop;
  for found in
    select table_name, string_agg(quote_ident(column_name), ', ') as readable from information_schema.columns
    where table_schema = 'public' and table_name in ('users', 'conversations', 'conversation_members', 'messages', 'responses', 'usage_daily', 'documents', 'identities', 'logs') and column_name not in ('password_hash')
    group by table_name
  loop
    execute format('grant select (%s) on public.%I to chatstore_reader', found.readable, found.table_name);
  end loop;
end
$$;

revoke all on schema public from public;
grant usage, create on schema public to chatstore_owner;
grant usage on schema public to chatstore_migrator, chatstore_server, chatstore_reader;
alter default privileges for role chatstore_owner in schema public
  grant select, insert, update, delete on tables to chatstore_server;
