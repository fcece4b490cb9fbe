--[[ Lets a job that has ended expire sooner.

  KEYS  1 hash  2 log (one slot)
  ARGV  1 when (ms from now)
  Returns 1, or 0 where it has not ended, or expires sooner than that

  Atomic, because a job that is run again at this moment must stay.
]]
local status = redis.call('HGET', KEYS[1], 'status')
if status ~= 'completed' and status ~= 'failed' and status ~= 'cancelled' then return 0 end
if redis.call('PTTL', KEYS[1]) <= tonumber(ARGV[1]) then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[1])
return 1
