--[[ Adds an artifact to the attempt of its writer. It replaces one of the same name, and those of earlier attempts.

  KEYS  1 hash
  ARGV  1 round  2 token  3 smallest n of a fencing write  4 generation  5 name  6 bytes  7 object ('-': a link)
        8 JSON of the rest  9 maximum number of artifacts  10 maximum bytes of all of them
  Returns {'ok', count, bytes, replaced objects...}, or {reason}

  Atomic, because the limits must hold for concurrent uploads, and a fenced writer must not replace anything.
]]
local job, reason = fenced(KEYS[1], ARGV[1], ARGV[2], ARGV[3])
if not job then return { reason } end
local generation, found = artifacts_of(job.artifacts or '')
if generation ~= ARGV[4] then return { 'unknown_job' } end
local lines, replaced, count, bytes = { generation }, {}, 1, tonumber(ARGV[6])
for _, each in ipairs(found) do
  if each.round == job.round and each.attempt == job.attempt and each.name ~= ARGV[5] then
    lines[#lines + 1] = each.line
    count, bytes = count + 1, bytes + each.bytes
  elseif each.object ~= '-' then
    replaced[#replaced + 1] = each.object
  end
end
if count > tonumber(ARGV[9]) then return { 'too_many' } end
if bytes > tonumber(ARGV[10]) then return { 'too_big' } end
lines[#lines + 1] = table.concat({ job.round, job.attempt, ARGV[5], ARGV[6], ARGV[7], ARGV[8] }, ' ')
redis.call('HSET', KEYS[1], 'artifacts', table.concat(lines, '\n'))
return { 'ok', count, string.format('%.0f', bytes), unpack(replaced) }
