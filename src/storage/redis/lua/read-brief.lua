--[[ Reads the state of a job without its input, for lists.

  KEYS  1 hash
  ARGV  1 identity of this store
  Returns false, or {hash as JSON, epoch, time of this Redis (ms)}

  One text: a page of jobs would otherwise be thousands of values. Only reads.
]]
local fields = redis.call('HGETALL', KEYS[1])
if #fields == 0 then return false end
local job = {}
for i = 1, #fields, 2 do job[fields[i]] = fields[i + 1] end
job.input = nil
local time = redis.call('TIME')
return { cjson.encode(job), epoch_of(job, ARGV[1]), time[1] * 1000 + math.floor(time[2] / 1000) }
