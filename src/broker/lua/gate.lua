--[[ Included before gate-enter.lua, gate-next.lua and gate-leave.lua: the names of the gate's keys, and a user's seat in the rings.

  KEYS  1 what begins every key of the gate; its hash tag puts them all into one slot, so further names are made here
  ARGV  1 kinds ('run,benchmark')  2 most admitted rounds of one user

  waiting, admitted         hashes: round → '<kind> <owner>'
  waiting:<kind>:<owner>    sorted set of the user's waiting rounds by order of entry
  admitted:<owner>          set of the rounds that hold the user's places
  ring:<kind>               sorted set of the users whose turn may come: exactly those with a waiting round and a place; by when each was last served
  served:<kind>             sorted set of when users were last served; the newest of them, for an hour
  window:<kind>             sorted set of admitted rounds that were not started, by time (ms)
  turn                      the count that orders entries and services
]]
local base = KEYS[1]
local max_active = tonumber(ARGV[2])
-- Below every turn: who was never served comes first, in order of arrival.
local NEVER = 2 ^ 52

local function queue_of(kind, owner) return base .. 'waiting:' .. kind .. ':' .. owner end
local function places_of(owner) return base .. 'admitted:' .. owner end
local function has_place(owner) return redis.call('SCARD', places_of(owner)) < max_active end

-- After every change of a user's rounds or places.
local function reseat(owner)
  local may = has_place(owner)
  for kind in string.gmatch(ARGV[1], '[^,]+') do
    local ring = base .. 'ring:' .. kind
    if may and redis.call('EXISTS', queue_of(kind, owner)) == 1 then
      local last = redis.call('ZSCORE', base .. 'served:' .. kind, owner) or redis.call('ZSCORE', ring, owner)
      redis.call('ZADD', ring, last or (redis.call('INCR', base .. 'turn') - NEVER), owner)
    else
      redis.call('ZREM', ring, owner)
    end
  end
end
