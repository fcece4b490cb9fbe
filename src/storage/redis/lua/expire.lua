--[[ Shortens the TTL of a job that has ended.

  KEYS  1 hash, then every other key of the job (one slot)
  ARGV  1 TTL (ms)
  Returns 1, or 0 if the job has not ended or already expires sooner

  Atomic, because a job that is retried at the same time must remain.
]]
local status = redis.call('HGET', KEYS[1], 'status')
if status ~= 'completed' and status ~= 'failed' and status ~= 'cancelled' then return 0 end
if redis.call('PTTL', KEYS[1]) <= tonumber(ARGV[1]) then return 0 end
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[1]) end
return 1
