--[[ Tells how many rounds wait and are admitted, by queue, and since when one that was handed out waits for a worker.

  KEYS, ARGV 1  as in gate.lua
  Returns {{queue, waiting, admitted, ms}, …}; ms is -1 where none waits for a worker

  Atomic, because a round that is admitted at this moment must not be counted twice. Costs two commands a queue, however many rounds wait.
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local depths = {}
for _, queue in ipairs(redis.call('SMEMBERS', base .. 'queues')) do
  local counts = redis.call('HMGET', base .. 'counts', 'waiting:' .. queue, 'admitted:' .. queue)
  local oldest = redis.call('ZRANGE', base .. 'window:' .. queue, 0, 0, 'WITHSCORES')[2]
  local ms = oldest and math.max(0, now - tonumber(oldest)) or -1
  table.insert(depths, { queue, tonumber(counts[1] or 0), tonumber(counts[2] or 0), ms })
end
return depths
