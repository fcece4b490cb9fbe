--[[ Reads the state of a job and, if it can be proved, exactly what was missed since a position.

  KEYS  1 hash  2 log (one slot)
  ARGV  1 identity of this store  2 epoch ('' = state only)  3 seq of the position
        4 maximum number of entries that may have been missed
  Returns false, or {hash as flat list, epoch, time of this Redis (ms), missed or false}
  missed = persisted entries after the position

  Atomic, because state and log must be of the same moment. Only reads, so that it works while writes are rejected.
]]
local fields = redis.call('HGETALL', KEYS[1])
if #fields == 0 then return false end
local job = {}
for i = 1, #fields, 2 do job[fields[i]] = fields[i + 1] end
job.seq = tonumber(job.seq)
local epoch = epoch_of(job, ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local after = tonumber(ARGV[3])
if after > good_until(job, ARGV[1], ARGV[2]) then return { fields, epoch, now, false } end

-- The log reaches back if nothing has been trimmed, or if its first entry is at most the one after the position.
if redis.call('XLEN', KEYS[2]) < tonumber(job.durables) then
  local first = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
  local first_seq = first and tonumber(string.match(first[1], '^%d+'))
  if not first_seq or after < first_seq - 1 then return { fields, epoch, now, false } end
end
local limit = tonumber(ARGV[4])
local found = redis.call('XRANGE', KEYS[2], '(' .. after .. '-0', '+', 'COUNT', limit + 1)
if #found > limit then return { fields, epoch, now, false } end
local missed = {}
for i, entry in ipairs(found) do missed[i] = entry[2][2] end
return { fields, epoch, now, missed }
