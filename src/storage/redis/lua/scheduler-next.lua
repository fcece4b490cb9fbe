--[[ Lets the delayed executions enter whose time has come, then admits the next execution of any queue.

  KEYS, ARGV 1  as in scheduler.lua
  ARGV  2 prefetch limit of a queue  3 maximum number of users whose last service is remembered, and 4 for how long (ms)
  Returns {queue, execution}, or false if every queue has reached its limit or no user is eligible

  Atomic, because concurrent callers must keep the prefetch limit, must never give a user too many slots, and must take
  each execution exactly once.
]]
-- So many at a time; the rest with the next call.
local ENTER_AT_ONCE = 100
for _, round in ipairs(redis.call('ZRANGEBYSCORE', base .. 'delayed', '-inf', now_ms(), 'LIMIT', 0, ENTER_AT_ONCE)) do
  local priority, queue, way, owner = string.match(redis.call('HGET', base .. 'delays', round) or '', '^(%d) (%S+) (%a) (.*)$')
  if owner then
    drop_delayed(round, owner)
    -- A process of an earlier version removes it from the waiting ones only.
    if redis.call('HEXISTS', base .. 'waiting', round) == 1 then put_waiting(round, queue, way, owner, priority) end
  else
    redis.call('ZREM', base .. 'delayed', round)
  end
end

-- Which of a user's two waiting sets has the execution that entered first, of those that may be admitted.
local function first_way(queue, owner)
  local best, best_turn
  for _, way in ipairs({ 'c', 'f' }) do
    -- The limit may have been lowered since this user entered the ring.
    local head = (way == 'f' or has_slot(owner)) and redis.call('ZRANGE', waiting_of(queue, owner, way), 0, 0, 'WITHSCORES')
    if head and head[1] and (not best or tonumber(head[2]) < best_turn) then best, best_turn = way, tonumber(head[2]) end
  end
  return best
end

local function take(queue)
  local window, ring, served = base .. 'window:' .. queue, base .. 'ring:' .. queue, base .. 'served:' .. queue
  if redis.call('ZCARD', window) >= tonumber(ARGV[2]) then return false end
  while true do
    local owner = redis.call('ZRANGE', ring, 0, 0)[1]
    if not owner then return false end
    local way = first_way(queue, owner)
    if way then
      local round = redis.call('ZPOPMIN', waiting_of(queue, owner, way))[1]
      redis.call('HDEL', base .. 'waiting', round)
      redis.call('HSET', base .. 'admitted', round, queue .. ' ' .. way .. ' ' .. owner)
      if way == 'c' then redis.call('SADD', slots_of(owner), round) end
      redis.call('ZADD', window, now_ms(), round)
      redis.call('ZADD', served, redis.call('INCR', base .. 'turn'), owner)
      redis.call('ZREMRANGEBYRANK', served, 0, -ARGV[3] - 1)
      redis.call('PEXPIRE', served, ARGV[4])
      update_rings(owner)
      return { queue, round }
    end
    redis.call('ZREM', ring, owner)
  end
end

for _, queue in ipairs(redis.call('SMEMBERS', base .. 'queues')) do
  local taken = take(queue)
  if taken then return taken end
end
return false
