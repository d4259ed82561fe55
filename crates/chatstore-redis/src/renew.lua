-- Gives a family or a scope another revision, so that every entry and every ticket with the former one is expired.
-- Keys: the revision, and an entry to delete with it. Argument: how many milliseconds the revision lasts, or nothing.
local time = redis.call('time')
local revision = time[1] .. '.' .. time[2]
if ARGV[1] == '' then
  redis.call('set', KEYS[1], revision)
else
  redis.call('set', KEYS[1], revision, 'px', ARGV[1])
end
if KEYS[2] then
  return redis.call('del', KEYS[2])
end
return 0
