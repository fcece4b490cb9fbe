--[[ Counts waiting, held and admitted executions per queue, and how long an admitted execution has waited for a worker.

  KEYS, ARGV 1  as in scheduler.lua
  ARGV  2 maximum number of users per ring that are examined
  Returns {{queue, waiting, held, admitted, ms}, …}; ms is -1 if no execution waits for a worker

  Atomic, because an execution that is admitted at the same time must not be counted twice. Reads the sets themselves,
  so that no counters have to be kept consistent. Costs some commands per user with executions here, none per waiting
  execution. A user without occupied slots is in a ring if they have waiting executions. Users beyond the maximum count
  as one execution each.
]]
local most = tonumber(ARGV[2])
local depths, order = {}, {}
local function depth_of(queue)
  if not depths[queue] then
    depths[queue] = { waiting = 0, held = 0, admitted = 0, eligible = 0 }
    table.insert(order, queue)
  end
  return depths[queue]
end

local used_slots = {}
for _, admitted in ipairs(redis.call('HVALS', base .. 'admitted')) do
  local queue, way, owner = string.match(admitted, '^(%S+) (%a) (.*)$')
  local depth = depth_of(queue)
  depth.admitted = depth.admitted + 1
  used_slots[owner] = (used_slots[owner] or 0) + (way == 'c' and 1 or 0)
end

local function examine(queue, owner)
  local depth, counted = depth_of(queue), redis.call('ZCARD', waiting_of(queue, owner, 'c'))
  local may = math.min(counted, math.max(0, max_active - (used_slots[owner] or 0)))
  local free = redis.call('ZCARD', waiting_of(queue, owner, 'f'))
  depth.waiting = depth.waiting + may + free
  depth.held = depth.held + counted - may
  if may + free > 0 then depth.eligible = depth.eligible + 1 end
end

for owner in pairs(used_slots) do
  for _, queue in ipairs(redis.call('SMEMBERS', base .. 'queues:' .. owner)) do examine(queue, owner) end
end
for _, queue in ipairs(redis.call('SMEMBERS', base .. 'queues')) do
  local ring, depth = base .. 'ring:' .. queue, depth_of(queue)
  for _, owner in ipairs(redis.call('ZRANGE', ring, 0, most - 1)) do
    if not used_slots[owner] then examine(queue, owner) end
  end
  depth.waiting = depth.waiting + math.max(0, redis.call('ZCARD', ring) - depth.eligible)
end

local now = now_ms()
local rows = {}
for _, queue in ipairs(order) do
  local depth, oldest = depths[queue], redis.call('ZRANGE', base .. 'window:' .. queue, 0, 0, 'WITHSCORES')[2]
  local ms = oldest and math.max(0, now - tonumber(oldest)) or -1
  table.insert(rows, { queue, depth.waiting, depth.held, depth.admitted, ms })
end
return rows
