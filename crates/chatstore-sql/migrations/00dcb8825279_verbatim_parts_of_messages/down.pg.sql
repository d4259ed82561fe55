drop index ix_messages_format;
drop index ix_messages_external_id;
alter table messages
  drop column format,
  drop column external_id;
create function pg_temp.readable_parts(parts text) returns jsonb language plpgsql as $$
declare
  found jsonb;
begin
  found := parts::jsonb;
  if jsonb_path_exists(found, '$.** ? (@.type() == "number" && (@ > 1.7976931348623157e308 || @ < -1.7976931348623157e308))') then
    return null;
  end if;
  return found;
exception when others then
  return null;
end $$;
alter table messages alter column parts type jsonb using pg_temp.readable_parts(parts);
drop function pg_temp.readable_parts(text);
