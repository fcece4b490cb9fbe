--[[ Included before the other scripts of the fair scheduler: the names of its keys, and a user's seat in the rings.

  KEYS  1 what begins every key of the fair scheduler; its hash tag puts them all into one slot, so further names are made here
  ARGV  1 most admitted rounds of one user

  queues                     set of all queues
  waiting, admitted          hashes: round → '<queue> <c or f> <owner>'; c: it takes a place, f: it is free
  waiting:<queue>:<owner>    sorted set of the user's waiting rounds that take a place, by order of entry
  free:<queue>:<owner>       of those that take none
  queues:<owner>             set of the queues where the user has waiting rounds
  admitted:<owner>           set of the rounds that hold the user's places
  ring:<queue>               sorted set of the users whose turn may come: exactly those with a waiting round and the place that it takes; by when each was last served
  served:<queue>             sorted set of when users were last served; the newest of them, for an hour
  window:<queue>             sorted set of admitted rounds that were not started, by time (ms)
  turn                       the count that orders entries and services
  hour:<owner>               sorted set of the user's new rounds by time (ms)
]]
local base = KEYS[1]
local max_active = tonumber(ARGV[1])
-- Below every turn: who was never served comes first, in order of arrival.
local NEVER = 2 ^ 52

local function line_of(queue, owner, way) return base .. (way == 'f' and 'free:' or 'waiting:') .. queue .. ':' .. owner end
local function places_of(owner) return base .. 'admitted:' .. owner end
local function has_place(owner) return redis.call('SCARD', places_of(owner)) < max_active end
local function is_waiting(queue, owner, way) return redis.call('EXISTS', line_of(queue, owner, way)) == 1 end

-- After every change of a user's rounds or places.
local function reseat(owner)
  local may = has_place(owner)
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
