--[[ How much memory a job takes, whose it is, and for how long.

  KEYS  1 hash  2 log  3 checkpoint (one slot)
  ARGV  1 for how long the size of a job that has not ended is believed (ms)
  Returns {owner, bytes, ms}, or false where there is no such job

  Atomic, because size and end must be of the same moment.
]]
local f = redis.call('HMGET', KEYS[1], 'owner', 'status')
if not f[1] then return false end
local bytes = 0
-- All of it: of a few samples one large field would be missed, or stand for all.
for _, key in ipairs(KEYS) do bytes = bytes + (redis.call('MEMORY', 'USAGE', key, 'SAMPLES', 0) or 0) end
local ms = redis.call('PTTL', KEYS[1])
local is_final = f[2] == 'completed' or f[2] == 'failed' or f[2] == 'cancelled'
if not is_final or ms < 0 then ms = math.min(ms < 0 and tonumber(ARGV[1]) or ms, tonumber(ARGV[1])) end
return { f[1], bytes, ms }
