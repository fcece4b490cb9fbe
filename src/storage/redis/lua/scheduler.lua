--[[ Included before the other scripts of the fair scheduler: names of its keys, and a user's membership in the rings.

  KEYS  1 prefix of every key of the fair scheduler; its hash tag puts all keys into one slot, so the scripts may build
        further names
  ARGV  1 maximum number of admitted executions of one user

  queues                     set of all queues
  waiting, admitted          hashes: execution → '<queue> <c or f> <owner>'; c: needs a slot (counted), f: free
                             waiting has delayed executions, too
  waiting:<queue>:<owner>    sorted set of the user's waiting executions that need a slot, by priority, then by order of
                             entry
  free:<queue>:<owner>       the same of those that need none
  delayed                    sorted set of delayed executions, by when they may enter (ms)
  delays                     hash: delayed execution → '<priority> <queue> <c or f> <owner>'
  delayed:<owner>            set of the user's delayed executions
  queues:<owner>             set of the queues in which the user has waiting executions
  admitted:<owner>           set of the executions that occupy the user's slots
  ring:<queue>               sorted set of the eligible users, by when each was last served: exactly those with a
                             waiting execution and, if the execution needs one, a free slot
  served:<queue>             sorted set of users by when they were last served; the most recent ones, for an hour
  window:<queue>             sorted set of admitted executions that were not started, by time (ms)
  turn                       counter that orders entries and services
  hour:<owner>               sorted set of the user's new executions by time (ms)
]]
local base = KEYS[1]
local max_active = tonumber(ARGV[1])
-- Makes a score lower than every turn: users who were never served come first, in order of arrival.
local NEVER = 2 ^ 52

-- Turns stay below, so that one step of priority is more than every turn.
local PRIORITY = 2 ^ 48

local function waiting_of(queue, owner, way) return base .. (way == 'f' and 'free:' or 'waiting:') .. queue .. ':' .. owner end
local function slots_of(owner) return base .. 'admitted:' .. owner end
local function has_slot(owner) return redis.call('SCARD', slots_of(owner)) < max_active end
local function is_waiting(queue, owner, way) return redis.call('EXISTS', waiting_of(queue, owner, way)) == 1 end

-- Called after every change of a user's executions or slots.
local function update_rings(owner)
  local may = has_slot(owner)
  for _, queue in ipairs(redis.call('SMEMBERS', base .. 'queues:' .. owner)) do
    local ring = base .. 'ring:' .. queue
    local counted, free = is_waiting(queue, owner, 'c'), is_waiting(queue, owner, 'f')
    if free or (counted and may) then
      local last = redis.call('ZSCORE', base .. 'served:' .. queue, owner) or redis.call('ZSCORE', ring, owner)
      redis.call('ZADD', ring, last or (redis.call('INCR', base .. 'turn') - NEVER), owner)
    else
      redis.call('ZREM', ring, owner)
      if not counted then redis.call('SREM', base .. 'queues:' .. owner, queue) end
    end
  end
end

-- The clock of Redis in ms.
local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Adds an execution to the waiting ones of its user.
local function put_waiting(round, queue, way, owner, priority)
  redis.call('SADD', base .. 'queues', queue)
  redis.call('SADD', base .. 'queues:' .. owner, queue)
  redis.call('ZADD', waiting_of(queue, owner, way), redis.call('INCR', base .. 'turn') - priority * PRIORITY, round)
  update_rings(owner)
end

local function drop_delayed(round, owner)
  redis.call('ZREM', base .. 'delayed', round)
  redis.call('HDEL', base .. 'delays', round)
  redis.call('SREM', base .. 'delayed:' .. owner, round)
end
