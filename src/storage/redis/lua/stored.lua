--[[ Memory of a user's jobs: records the size of one job, and returns the sum.

  KEYS  1 hash: job id → bytes, '*' → their sum  2 sorted set: job id by expiry time (ms) (one slot)
  ARGV  1 limit (bytes)  and, to record the size of a job: 2 id  3 bytes  4 time until it expires (ms)
  Returns {bytes, ms until the sum is below the limit, as far as known}

  Atomic, because the sum must match the entries under concurrent calls. Uses the clock of Redis. Each call removes
  expired entries; the keys expire with their last entry.
]]
local SUM = '*'
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function remove(id)
  local known = redis.call('HGET', KEYS[1], id)
  if not known then return end
  redis.call('HINCRBY', KEYS[1], SUM, '-' .. known)
  redis.call('HDEL', KEYS[1], id)
  redis.call('ZREM', KEYS[2], id)
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 1000)) do remove(id) end

if ARGV[2] then
  remove(ARGV[2])
  redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
  redis.call('HINCRBY', KEYS[1], SUM, ARGV[3])
  redis.call('ZADD', KEYS[2], now + ARGV[4], ARGV[2])
  local last = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')[2]
  for _, key in ipairs(KEYS) do redis.call('PEXPIREAT', key, string.format('%.0f', last)) end
end

local sum, limit = tonumber(redis.call('HGET', KEYS[1], SUM) or 0), tonumber(ARGV[1])
if sum < limit then return { sum, 0 } end
-- Sums up the jobs that expire first. Only the first 256 are examined.
local left, ends = sum, now
local next = redis.call('ZRANGE', KEYS[2], 0, 255, 'WITHSCORES')
for i = 1, #next, 2 do
  left, ends = left - tonumber(redis.call('HGET', KEYS[1], next[i])), tonumber(next[i + 1])
  if left < limit then break end
end
return { sum, math.max(ends - now, 1000) }
