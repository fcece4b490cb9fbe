--[[ Adds an artifact to the attempt of its writer, and publishes it on the channel of telemetry. It replaces one of the
  same name, and those of earlier attempts.

  KEYS  1 hash  2 channel of telemetry (one slot)
  ARGV  1 identity of this store  2 round  3 token  4 smallest n of a fencing write  5 generation  6 name  7 bytes
        8 object ('-': a link)  9 JSON of the rest  10 maximum number of artifacts  11 maximum bytes of all of them
  Message: "artifact <generation of the job>", then the line of the artifact
  Returns {'ok', count, bytes, replaced objects...}, or {reason}

  Atomic, because the limits must hold for concurrent uploads, and a fenced writer must not replace anything.
]]
local hash, store = KEYS[1], ARGV[1]
local job, reason = fenced(hash, ARGV[2], ARGV[3], ARGV[4])
if not job then return { reason } end
local generation, found = artifacts_of(job.artifacts or '')
if generation ~= ARGV[5] then return { 'unknown_job' } end
local lines, replaced, count, bytes, n = { generation }, {}, 1, tonumber(ARGV[7]), 0
for _, each in ipairs(found) do
  local is_current = each.round == job.round and each.attempt == job.attempt
  if is_current then n = math.max(n, each.n) end
  if is_current and each.name ~= ARGV[6] then
    lines[#lines + 1] = each.line
    count, bytes = count + 1, bytes + each.bytes
  elseif each.object ~= '-' then
    replaced[#replaced + 1] = each.object
  end
end
if count > tonumber(ARGV[10]) then return { 'too_many' } end
if bytes > tonumber(ARGV[11]) then return { 'too_big' } end
-- A store that lacks the last artifacts must not count on under the same epoch.
local f = redis.call('HMGET', hash, 'generation', 'seq', 'store', 'forks')
local history = { generation = f[1], seq = tonumber(f[2]), store = f[3], forks = f[4] }
take_over(hash, history, store)
local rest = string.format('%s,"n":%.0f}', string.sub(ARGV[9], 1, -2), n + 1)
local line = table.concat({ job.round, job.attempt, ARGV[6], ARGV[7], ARGV[8], rest }, ' ')
lines[#lines + 1] = line
redis.call('HSET', hash, 'artifacts', table.concat(lines, '\n'), 'store', store .. ' ' .. f[2])
redis.call('PUBLISH', KEYS[2], 'artifact ' .. history.generation .. '\n' .. line)
return { 'ok', count, string.format('%.0f', bytes), unpack(replaced) }
