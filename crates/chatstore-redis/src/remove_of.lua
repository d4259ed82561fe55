-- Deletes all entries of an owner. Key: the set of them.
local entries = redis.call('smembers', KEYS[1])
for _, entry in ipairs(entries) do
  redis.call('unlink', entry)
end
return redis.call('del', KEYS[1])
