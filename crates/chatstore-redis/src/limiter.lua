-- The places of one key, as text: "at places at places …", the oldest first; at is in microseconds since 1970.
-- Arguments: what to do, the count, the period and the present instant in microseconds, the instant to remember, and how
-- many places were taken beside this count, while nothing could be asked here.
-- Answers whether it is granted, how many are left, and after how many microseconds the oldest place is free again.
local step, count, period = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local now, remembered, owed = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])

local at, places, used = {}, {}, 0
for instant, number in string.gmatch(redis.call('get', KEYS[1]) or '', '(%-?%d+) (%d+)') do
  instant, number = tonumber(instant), tonumber(number)
  local age = now - instant
  -- What lies more than a period ahead was taken before a clock was set back.
  if step == 'give back' or (age < period and age >= -period) then
    at[#at + 1], places[#places + 1] = instant, number
    used = used + number
  end
end

local function write(...)
  local text = {}
  for index = 1, #at do
    text[index] = string.format('%.0f %d', at[index], places[index])
  end
  redis.call('set', KEYS[1], table.concat(text, ' '), ...)
end

if step == 'give back' then
  if used == 1 then
    redis.call('del', KEYS[1])
  elseif used > 1 then
    places[#places] = places[#places] - 1
    if places[#places] == 0 then
      at[#at], places[#places] = nil, nil
    end
    write('keepttl')
  end
  return {1, 0, 0}
end

local function add(number)
  local newest = at[#at]
  if newest and newest >= remembered then
    places[#places] = places[#places] + number
    remembered = newest
  else
    at[#at + 1], places[#places + 1] = remembered, number
  end
  used = used + number
end

-- Gone when its last place is free; at least a millisecond, and no longer than two periods by a clock that was set back.
local function keep()
  local lasts = math.ceil((at[#at] + period - now) / 1000)
  write('px', string.format('%d', math.max(1, math.min(lasts, math.ceil(2 * period / 1000)))))
end

if owed > 0 then
  add(owed)
  keep()
end
if used >= count then
  return {0, 0, (at[1] or now) + period - now}
end
if step ~= 'take' then
  return {1, count - used, (at[1] or now) + period - now}
end
add(1)
keep()
return {1, count - used, at[1] + period - now}
