--[[ Tells how many rounds wait, are held and are admitted, by queue, and since when one that was handed out waits for a worker.

  KEYS, ARGV 1  as in scheduler.lua
  ARGV  2 most users of a ring that are looked at
  Returns {{queue, waiting, held, admitted, ms}, …}; ms is -1 where none waits for a worker

  Atomic, because a round that is admitted at this moment must not be counted twice. Read from the sets themselves, so that nothing has to be kept in step. Costs
  some commands for each user who has rounds here, none for each round that waits. A user who has none of their places taken is in a ring, if they wait at all;
  those of a ring beyond the most count for one round each.
]]
local most = tonumber(ARGV[2])
local depths, order = {}, {}
local function depth_of(queue)
  if not depths[queue] then
    depths[queue] = { waiting = 0, held = 0, admitted = 0, seated = 0 }
    table.insert(order, queue)
  end
  return depths[queue]
end

local places = {}
for _, admitted in ipairs(redis.call('HVALS', base .. 'admitted')) do
  local queue, way, owner = string.match(admitted, '^(%S+) (%a) (.*)$')
  local depth = depth_of(queue)
  depth.admitted = depth.admitted + 1
  places[owner] = (places[owner] or 0) + (way == 'c' and 1 or 0)
end

local function look(queue, owner)
  local depth, line = depth_of(queue), redis.call('ZCARD', line_of(queue, owner, 'c'))
  local may = math.min(line, math.max(0, max_active - (places[owner] or 0)))
  local free = redis.call('ZCARD', line_of(queue, owner, 'f'))
  depth.waiting = depth.waiting + may + free
  depth.held = depth.held + line - may
  if may + free > 0 then depth.seated = depth.seated + 1 end
end

for owner in pairs(places) do
  for _, queue in ipairs(redis.call('SMEMBERS', base .. 'queues:' .. owner)) do look(queue, owner) end
end
for _, queue in ipairs(redis.call('SMEMBERS', base .. 'queues')) do
  local ring, depth = base .. 'ring:' .. queue, depth_of(queue)
  for _, owner in ipairs(redis.call('ZRANGE', ring, 0, most - 1)) do
    if not places[owner] then look(queue, owner) end
  end
  depth.waiting = depth.waiting + math.max(0, redis.call('ZCARD', ring) - depth.seated)
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local rows = {}
for _, queue in ipairs(order) do
  local depth, oldest = depths[queue], redis.call('ZRANGE', base .. 'window:' .. queue, 0, 0, 'WITHSCORES')[2]
  local ms = oldest and math.max(0, now - tonumber(oldest)) or -1
  table.insert(rows, { queue, depth.waiting, depth.held, depth.admitted, ms })
end
return rows
