-- Four roles for the database of chatstore, each with the rights that it needs:
--   PREFIX_owner     owns the tables; nobody logs in as it
--   PREFIX_migrator  creates and changes the tables: chatstore migrate
--   PREFIX_server    reads and writes rows: chatstore serve and all other commands
--   PREFIX_reader    reads rows for reports, except credentials: no password, key, session or token
--
-- Run this in the database of chatstore as a superuser, before the first `chatstore migrate upgrade` or later. It may be
-- run again. Afterwards give both that log in a password:
--   \password PREFIX_migrator
--   \password PREFIX_server
--   \password PREFIX_reader
-- After an upgrade that adds tables or columns, run it again: nothing new is readable for the reader until then.

do $$
begin
  if not exists (select from pg_roles where rolname = 'PREFIX_owner') then
    create role PREFIX_owner nologin;
  end if;
  if not exists (select from pg_roles where rolname = 'PREFIX_migrator') then
    create role PREFIX_migrator login noinherit;
  end if;
  if not exists (select from pg_roles where rolname = 'PREFIX_server') then
    create role PREFIX_server login;
  end if;
  if not exists (select from pg_roles where rolname = 'PREFIX_reader') then
    create role PREFIX_reader login;
  end if;
end
$$;

-- What the migrator creates belongs to the owner.
grant PREFIX_owner to PREFIX_migrator;

do $$
declare
  here text := current_database();
  found record;
begin
  execute format('alter role PREFIX_migrator in database %I set role PREFIX_owner', here);
  execute format('revoke all on database %I from public', here);
  execute format('grant connect on database %I to PREFIX_migrator, PREFIX_server, PREFIX_reader', here);
  execute format('alter role PREFIX_reader in database %I set default_transaction_read_only to on', here);
  -- Revisions are compared in a schema that is created and rolled back.
  execute format('grant create on database %I to PREFIX_owner', here);
  -- Tables of chatstore that another role created.
  for found in select tablename from pg_tables where schemaname = 'public' and tablename in (TABLES) loop
    execute format('alter table public.%I owner to PREFIX_owner', found.tablename);
    execute format('grant select, insert, update, delete on public.%I to PREFIX_server', found.tablename);
  end loop;
  for found in
    select table_name, string_agg(quote_ident(column_name), ', ') as readable from information_schema.columns
    where table_schema = 'public' and table_name in (READABLE) and column_name not in (SECRETS)
    group by table_name
  loop
    execute format('grant select (%s) on public.%I to PREFIX_reader', found.readable, found.table_name);
  end loop;
end
$$;

revoke all on schema public from public;
grant usage, create on schema public to PREFIX_owner;
grant usage on schema public to PREFIX_migrator, PREFIX_server, PREFIX_reader;
alter default privileges for role PREFIX_owner in schema public
  grant select, insert, update, delete on tables to PREFIX_server;
