-- Three roles for the database of chatstore, each with the rights that it needs:
--   PREFIX_owner     owns the tables; nobody logs in as it
--   PREFIX_migrator  creates and changes the tables: chatstore migrate
--   PREFIX_server    reads and writes rows: chatstore serve and all other commands
--
-- Run this in the database of chatstore as a superuser, before the first `chatstore migrate upgrade` or later. It may be
-- run again. Afterwards give both that log in a password:
--   \password PREFIX_migrator
--   \password PREFIX_server

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
  execute format('grant connect on database %I to PREFIX_migrator, PREFIX_server', here);
  -- Revisions are compared in a schema that is created and rolled back.
  execute format('grant create on database %I to PREFIX_owner', here);
  -- Tables of chatstore that another role created.
  for found in select tablename from pg_tables where schemaname = 'public' and tablename in (TABLES) loop
    execute format('alter table public.%I owner to PREFIX_owner', found.tablename);
    execute format('grant select, insert, update, delete on public.%I to PREFIX_server', found.tablename);
  end loop;
end
$$;

revoke all on schema public from public;
grant usage, create on schema public to PREFIX_owner;
grant usage on schema public to PREFIX_migrator, PREFIX_server;
alter default privileges for role PREFIX_owner in schema public
  grant select, insert, update, delete on tables to PREFIX_server;
