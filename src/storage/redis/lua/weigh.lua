--[[ Measures the memory of a job. Also returns its owner and how long the size is valid.

  KEYS  1 hash, then every other key of the job (one slot)
  ARGV  1 how long the size of a job that has not ended is valid (ms)
  Returns {owner, bytes, ms}, or false if there is no such job

  Atomic, because size and TTL must be of the same moment.
]]
local f = redis.call('HMGET', KEYS[1], 'owner', 'status')
if not f[1] then return false end
local bytes = 0
-- SAMPLES 0 measures all fields: a few samples would miss one large field, or take it as typical.
for _, key in ipairs(KEYS) do bytes = bytes + (redis.call('MEMORY', 'USAGE', key, 'SAMPLES', 0) or 0) end
local ms = redis.call('PTTL', KEYS[1])
local is_final = f[2] == 'completed' or f[2] == 'failed' or f[2] == 'cancelled'
if not is_final or ms < 0 then ms = math.min(ms < 0 and tonumber(ARGV[1]) or ms, tonumber(ARGV[1])) end
return { f[1], bytes, ms }
