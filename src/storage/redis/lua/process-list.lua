--[[ Reads the entries of the processes that are alive.

  KEYS  1, 2  as in process-announce.lua
  ARGV  1 maximum number of entries
  Returns {number of processes, entry, …}; those with the newest leases come first
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ids = redis.call('ZREVRANGEBYSCORE', KEYS[1], '+inf', '(' .. string.format('%.0f', now), 'LIMIT', 0, ARGV[1])
local reply = { redis.call('ZCOUNT', KEYS[1], '(' .. string.format('%.0f', now), '+inf') }
for _, id in ipairs(ids) do
  local entry = redis.call('HGET', KEYS[2], id)
  if entry then table.insert(reply, entry) end
end
return reply
