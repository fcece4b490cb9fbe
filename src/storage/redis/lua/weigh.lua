--[[ Measures the memory of a job. Also returns its owner and how long the size is valid.

  KEYS  1 hash, then every other key of the job (one slot)
  ARGV  1 how long the size of a job that has not ended is valid (ms)
  Returns {owner, bytes, ms}, or false if there is no such job

  Atomic, because size and TTL must be of the same moment.
  The lists of the owner by tag and title are in another slot, so what the job takes there is estimated: a tag that no
  other job has takes a sorted set of its own.
]]
local TAG_BYTES, TITLE_BYTES = 700, 200
local f = redis.call('HMGET', KEYS[1], 'owner', 'status', 'tags', 'title')
if not f[1] then return false end
local bytes = 0
-- SAMPLES 0 measures all fields: a few samples would miss one large field, or take it as typical.
local id_bytes = 2 * #string.match(KEYS[1], '{(.*)}')
for _, tag in ipairs(f[3] and cjson.decode(f[3]) or {}) do bytes = bytes + TAG_BYTES + #tag + id_bytes end
if f[4] then bytes = bytes + TITLE_BYTES + 2 * #f[4] + id_bytes end
for _, key in ipairs(KEYS) do bytes = bytes + (redis.call('MEMORY', 'USAGE', key, 'SAMPLES', 0) or 0) end
local ms = redis.call('PTTL', KEYS[1])
local is_final = f[2] == 'completed' or f[2] == 'failed' or f[2] == 'cancelled'
if not is_final or ms < 0 then ms = math.min(ms < 0 and tonumber(ARGV[1]) or ms, tonumber(ARGV[1])) end
return { f[1], bytes, ms }
