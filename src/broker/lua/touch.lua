--[[ Refreshes the TTL of a job that has not ended.

  KEYS  1 hash  2 log (one slot)
  ARGV  1 TTL of an active job (ms)
  Returns 1, or 0 where there is no such job or it has ended

  Atomic, because a job that ends between look and refresh must keep the shorter TTL of its end.
]]
local status = redis.call('HGET', KEYS[1], 'status')
if not status or status == 'completed' or status == 'failed' or status == 'cancelled' then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[1])
return 1
