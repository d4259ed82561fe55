-- Writes an entry with the revision that it is good for.
-- Keys: the entry, the revision of its family, that of its scope, the set of entries of its owner if it has one.
-- Arguments: the value as JSON, how many milliseconds it lasts, the revision that is expected.
local revision = (redis.call('get', KEYS[2]) or '') .. ' ' .. (redis.call('get', KEYS[3]) or '')
if ARGV[3] ~= revision then
  return 0
end
redis.call('set', KEYS[1], '{"revision":"' .. revision .. '","value":' .. ARGV[1] .. '}', 'px', ARGV[2])
if KEYS[4] then
  redis.call('sadd', KEYS[4], KEYS[1])
  -- A set that is new lasts for ever until it is told otherwise.
  if redis.call('pttl', KEYS[4]) < tonumber(ARGV[2]) then
    redis.call('pexpire', KEYS[4], ARGV[2])
  end
end
return 1
