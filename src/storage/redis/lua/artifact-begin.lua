--[[ Checks whether a writer may store an artifact, and gives the job's artifacts a generation.

  KEYS  1 hash
  ARGV  1 round  2 token  3 smallest n of a fencing write  4 name  5 generation, for a job without one
  Returns {'ok', generation, owner, count, bytes} (of the attempt's other artifacts), or {reason}

  Atomic, because two first uploads of a job must get one generation.
]]
local job, reason = fenced(KEYS[1], ARGV[1], ARGV[2], ARGV[3])
if not job then return { reason } end
if not job.artifacts then
  job.artifacts = ARGV[5]
  redis.call('HSET', KEYS[1], 'artifacts', job.artifacts)
end
local generation, found = artifacts_of(job.artifacts)
local count, bytes = 0, 0
for _, each in ipairs(found) do
  if each.round == job.round and each.attempt == job.attempt and each.name ~= ARGV[4] then
    count, bytes = count + 1, bytes + each.bytes
  end
end
return { 'ok', generation, job.owner, count, string.format('%.0f', bytes) }
