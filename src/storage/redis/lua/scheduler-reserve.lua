--[[ Counts a new execution against its owner's hourly quota, unless a limit is reached.

  KEYS, ARGV 1  as in scheduler.lua
  ARGV  2 owner  3 execution  4 maximum per hour  5 the hour (ms)  6 maximum waiting executions of the owner
        7 maximum waiting executions of all users
  Returns {'ok', 0}, {'waiting', 0}, {'full', 0} or {'hour', ms until the next is possible}

  Atomic, because concurrent submits must never exceed the quota. Uses the clock of Redis, so that all nodes count the
  same hour.
]]
local owner, hour = ARGV[2], base .. 'hour:' .. ARGV[2]
local now = now_ms()
redis.call('ZREMRANGEBYSCORE', hour, '-inf', now - ARGV[5])
if redis.call('ZSCORE', hour, ARGV[3]) then return { 'ok', 0 } end

local waiting = redis.call('SCARD', base .. 'delayed:' .. owner)
for _, queue in ipairs(redis.call('SMEMBERS', base .. 'queues:' .. owner)) do
  waiting = waiting + redis.call('ZCARD', waiting_of(queue, owner, 'c'))
end
if waiting >= tonumber(ARGV[6]) then return { 'waiting', 0 } end
if redis.call('HLEN', base .. 'waiting') >= tonumber(ARGV[7]) then return { 'full', 0 } end

-- The limit may have been lowered: wait until enough executions are older than an hour that one more fits.
local over = redis.call('ZCARD', hour) - ARGV[4]
if over >= 0 then
  local passes = redis.call('ZRANGE', hour, over, over, 'WITHSCORES')
  return { 'hour', passes[2] + ARGV[5] - now }
end
redis.call('ZADD', hour, now, ARGV[3])
redis.call('PEXPIRE', hour, ARGV[5])
return { 'ok', 0 }
