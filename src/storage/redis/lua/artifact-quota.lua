--[[ What a user has stored as artifacts: records what one job, or one upload that is under way, takes of it.

  KEYS  1 hash: job or upload → "<bytes> <count>", '*' → their sum
        2 sorted set: uploads by the expiry of their reservations (ms) (one slot)
  ARGV  1 job or upload  2 bytes  3 count (0: remove it)  4 reservation (ms); 0: until it is removed
        5 maximum bytes  6 maximum count (0: no limits)  7 TTL of the keys (ms)
  Returns {1}, or {0, bytes, count} of everything else if a limit does not allow it

  Atomic, because concurrent uploads of a user on several hubs must never get more than the limit.
  Uses the clock of Redis.
]]
local function read(member)
  local bytes, count = string.match(redis.call('HGET', KEYS[1], member) or '0 0', '^(%d+) (%d+)$')
  return tonumber(bytes), tonumber(count)
end
local function write(member, bytes, count)
  if count == 0 then return redis.call('HDEL', KEYS[1], member) end
  redis.call('HSET', KEYS[1], member, string.format('%.0f %.0f', bytes, count))
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local bytes, count = read('*')
for _, upload in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 1000)) do
  local of_upload = { read(upload) }
  bytes, count = bytes - of_upload[1], count - of_upload[2]
  redis.call('HDEL', KEYS[1], upload)
  redis.call('ZREM', KEYS[2], upload)
end

local known = { read(ARGV[1]) }
local others = { bytes - known[1], count - known[2] }
local own = { tonumber(ARGV[2]), tonumber(ARGV[3]) }
local is_limited = ARGV[6] ~= '0'
local exceeds = function(i, limit) return own[i] > known[i] and others[i] + own[i] > tonumber(limit) end
if is_limited and (exceeds(1, ARGV[5]) or exceeds(2, ARGV[6])) then
  write('*', bytes, count)
  return { 0, string.format('%.0f', others[1]), others[2] }
end
write(ARGV[1], own[1], own[2])
write('*', others[1] + own[1], others[2] + own[2])
if ARGV[4] ~= '0' and own[2] > 0 then
  redis.call('ZADD', KEYS[2], now + ARGV[4], ARGV[1])
else
  redis.call('ZREM', KEYS[2], ARGV[1])
end
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[7]) end
return { 1 }
