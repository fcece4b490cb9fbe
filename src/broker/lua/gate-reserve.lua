--[[ Counts a new round against its owner's hour, unless a limit is reached.

  KEYS  1 sorted set of the owner's new rounds by time (ms)  2 hash of all waiting rounds  3… sorted sets of the owner's waiting rounds, one a kind (one slot)
  ARGV  1 round  2 most in an hour  3 the hour (ms)  4 most waiting rounds of the owner  5 most waiting rounds of all
  Returns {'ok', 0}, {'waiting', 0}, {'full', 0} or {'hour', ms until the next is possible}

  Atomic, because of many submits at the same moment only so many may be counted as there is room for. By the clock of Redis, so that all nodes count one hour.
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[3])
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return { 'ok', 0 } end

local waiting = 0
for i = 3, #KEYS do waiting = waiting + redis.call('ZCARD', KEYS[i]) end
if waiting >= tonumber(ARGV[4]) then return { 'waiting', 0 } end
if redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[5]) then return { 'full', 0 } end

-- The limit may have been lowered: room comes when so many have passed that one more fits.
local over = redis.call('ZCARD', KEYS[1]) - ARGV[2]
if over >= 0 then
  local passes = redis.call('ZRANGE', KEYS[1], over, over, 'WITHSCORES')
  return { 'hour', passes[2] + ARGV[3] - now }
end
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return { 'ok', 0 }
