--[[ Finds the users with the most waiting executions.

  KEYS, ARGV 1  as in scheduler.lua
  ARGV  2 maximum number of users per ring that are examined  3 maximum number of rows
  Returns {{queue, owner, waiting}, …}, the most waiting first

  Costs some commands per user, none per waiting execution. A user with waiting executions is in a ring, or has no free
  slot and so an admitted execution.
]]
local rows, seen = {}, {}
local function examine(queue, owner)
  local name = queue .. ' ' .. owner
  if seen[name] then return end
  seen[name] = true
  local waiting = redis.call('ZCARD', waiting_of(queue, owner, 'c')) + redis.call('ZCARD', waiting_of(queue, owner, 'f'))
  if waiting > 0 then table.insert(rows, { queue, owner, waiting }) end
end

local owners = {}
for _, admitted in ipairs(redis.call('HVALS', base .. 'admitted')) do
  owners[string.match(admitted, '^%S+ %a (.*)$')] = true
end
for owner in pairs(owners) do
  for _, queue in ipairs(redis.call('SMEMBERS', base .. 'queues:' .. owner)) do examine(queue, owner) end
end
for _, queue in ipairs(redis.call('SMEMBERS', base .. 'queues')) do
  for _, owner in ipairs(redis.call('ZRANGE', base .. 'ring:' .. queue, 0, ARGV[2] - 1)) do examine(queue, owner) end
end
table.sort(rows, function(a, b)
  if a[3] ~= b[3] then return a[3] > b[3] end
  return a[1] .. ' ' .. a[2] < b[1] .. ' ' .. b[2]
end)
local reply = {}
for i = 1, math.min(#rows, tonumber(ARGV[3])) do reply[i] = rows[i] end
return reply
