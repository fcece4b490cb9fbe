--[[ Refreshes the TTL of a job that has not ended.

  KEYS  1 hash  2 log  3 checkpoint (one slot)
  ARGV  1 TTL of an active job (ms)
  Returns {owner, kind}, or false if there is no such job or it has ended

  Atomic, because a job that ends between check and refresh must keep the shorter TTL of its end.
]]
local f = redis.call('HMGET', KEYS[1], 'status', 'owner', 'kind')
local status = f[1]
if not status or status == 'completed' or status == 'failed' or status == 'cancelled' then return false end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[1])
redis.call('PEXPIRE', KEYS[3], ARGV[1])
return { f[2], f[3] }
