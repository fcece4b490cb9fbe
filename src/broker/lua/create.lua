--[[ Writes a job that is not there yet, with its first event.

  KEYS  1 hash  2 log  3 channel (one slot)
  ARGV  1 kind  2 owner  3 input  4 digest  5 generation  6 created_at (ISO 8601)  7 body of the first event
        8 timeout of a round (ms)  9 TTL of an active job (ms)  10 solver ('' = the kind's own)  11 parent ('' = none)
  Returns {'created'} or {'exists', owner, digest, round}

  Atomic, because two submits of one id at the same moment must make one job. A leftover log of an expired hash is removed:
  its positions belong to another count.
]]
local hash, log, channel = KEYS[1], KEYS[2], KEYS[3]
if redis.call('EXISTS', hash) == 1 then
  local f = redis.call('HMGET', hash, 'owner', 'digest', 'round')
  return { 'exists', f[1], f[2], tonumber(f[3]) }
end
redis.call('DEL', log)
redis.call('HSET', hash, 'kind', ARGV[1], 'owner', ARGV[2], 'input', ARGV[3], 'digest', ARGV[4],
  'generation', ARGV[5], 'created_at', ARGV[6], 'timeout_ms', ARGV[8], 'round', 1, 'attempt', 1, 'status', 'queued', 'seq', 0, 'durables', 0)
if ARGV[10] ~= '' then redis.call('HSET', hash, 'solver', ARGV[10]) end
if ARGV[11] ~= '' then redis.call('HSET', hash, 'parent', ARGV[11]) end
local job = { generation = ARGV[5], seq = 0, durables = 0, round = 1, attempt = 1, status = 'queued' }
local event = { class = 'durable', key = 'status', body = ARGV[7], to = 'queued', clears = '', stamp = '' }
append(hash, log, channel, job, event, { log = 1, active_ttl = ARGV[9] })
return { 'created' }
