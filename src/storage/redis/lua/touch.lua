--[[ Refreshes the TTL of a job that has not ended.

  KEYS  1 hash, then every other key of the job (one slot)
  ARGV  1 TTL of an active job (ms)
  Returns {owner, kind}, or false if there is no such job or it has ended

  Atomic, because a job that ends between check and refresh must keep the shorter TTL of its end.
]]
local f = redis.call('HMGET', KEYS[1], 'status', 'owner', 'kind')
local status = f[1]
if not status or status == 'completed' or status == 'failed' or status == 'cancelled' then return false end
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[1]) end
return { f[2], f[3] }
