#!/bin/sh
# Gives the roles of 10-roles.sql their passwords. PostgreSQL's image runs both in a new database.
set -eu
psql --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
\getenv migrator POSTGRES_MIGRATOR_PASSWORD
\getenv server POSTGRES_SERVER_PASSWORD
alter role chatstore_migrator password :'migrator';
alter role chatstore_server password :'server';
SQL
