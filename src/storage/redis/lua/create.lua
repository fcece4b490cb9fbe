--[[ Writes a new job with its first event, unless the job exists.

  KEYS  1 hash  2 log  3 channel  4 kept entries  5 log lines  6 series  7 checkpoint (one slot)
  ARGV  1 identity of this store  2 kind  3 owner  4 input  5 digest  6 generation  7 created_at (ISO 8601)
        8 body of the first event  9 timeout of an execution (ms)  10 TTL of an active job (ms)
        11 solver ('' = the kind's own)  12 parent ('' = none)  13 title  14 tags  15 metadata  16 traceparent ('' = none)
        17 priority ('' = 0)  18 not_before (ISO 8601, '' = none)
  Returns {'created'} or {'exists', owner, digest, round}

  Atomic, because two concurrent submits of one id must create one job.
  What an expired hash has left is deleted: it belongs to another job.
]]
local keys = { hash = KEYS[1], log = KEYS[2], channel = KEYS[3], kept = KEYS[4], lines = KEYS[5], series = KEYS[6] }
local hash = keys.hash
if redis.call('EXISTS', hash) == 1 then
  local f = redis.call('HMGET', hash, 'owner', 'digest', 'round')
  return { 'exists', f[1], f[2], tonumber(f[3]) }
end
redis.call('DEL', keys.log, keys.kept, keys.lines, keys.series, KEYS[7])
redis.call('HSET', hash, 'kind', ARGV[2], 'owner', ARGV[3], 'input', ARGV[4], 'digest', ARGV[5],
  'generation', ARGV[6], 'store', ARGV[1] .. ' 1', 'created_at', ARGV[7], 'timeout_ms', ARGV[9],
  'round', 1, 'attempt', 1, 'status', 'queued', 'seq', 0, 'durables', 0)
if ARGV[11] ~= '' then redis.call('HSET', hash, 'solver', ARGV[11]) end
if ARGV[12] ~= '' then redis.call('HSET', hash, 'parent', ARGV[12]) end
for i, field in ipairs({ 'title', 'tags', 'metadata', 'traceparent', 'priority', 'not_before' }) do
  if ARGV[12 + i] ~= '' then redis.call('HSET', hash, field, ARGV[12 + i]) end
end
local job = { generation = ARGV[6], seq = 0, durables = 0, round = 1, attempt = 1, status = 'queued' }
local event = { class = 'persisted', key = 'status', body = ARGV[8], to = 'queued', clears = '', stamp = '' }
append(keys, job, event, { log = 1, active_ttl = ARGV[10] })
return { 'created' }
