--[[ Finds jobs that earlier versions have listed by their kind only.

  KEYS  1 hash of the index  2 sorted set: the jobs of a kind (one slot)
  ARGV  1 first rank, from the newest  2 number of jobs
  Returns {number of jobs read, ids that the index does not have}

  Only reads.
]]
local ids = redis.call('ZREVRANGE', KEYS[2], ARGV[1], ARGV[1] + ARGV[2] - 1)
if #ids == 0 then return { 0, {} } end
local missing = {}
for i, record in ipairs(redis.call('HMGET', KEYS[1], unpack(ids))) do
  if not record then missing[#missing + 1] = ids[i] end
end
return { #ids, missing }
