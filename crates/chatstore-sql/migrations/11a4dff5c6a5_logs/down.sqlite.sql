pragma foreign_keys = off;
drop table logs;
create temp table proof (
  no_row_is_lost integer,
  references_hold integer,
  constraint no_row_is_lost check (no_row_is_lost),
  constraint references_hold check (references_hold)
) strict;
insert into proof (references_hold)
  select not exists (select 1 from pragma_foreign_key_check);
drop table temp.proof;
