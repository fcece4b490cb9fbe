--[[ Admits the next round of a kind.

  KEYS, ARGV 1-2  as in gate.lua
  ARGV  3 kind  4 most rounds in the window  5 most users whose last service is remembered, and 6 for how long (ms)
  Returns the round, or false where the window is full or nobody's turn may come

  Atomic, because however many nodes ask at once, the window holds, no user gets a place too many, and no round is taken twice or by nobody.
]]
local kind = ARGV[3]
local window, ring, served = base .. 'window:' .. kind, base .. 'ring:' .. kind, base .. 'served:' .. kind
if redis.call('ZCARD', window) >= tonumber(ARGV[4]) then return false end

local owner, round
repeat
  owner = redis.call('ZRANGE', ring, 0, 0)[1]
  if not owner then return false end
  -- The quota may have been lowered since this user took a seat.
  round = has_place(owner) and redis.call('ZPOPMIN', queue_of(kind, owner))[1]
  if not round then reseat(owner) end
until round

local time = redis.call('TIME')
redis.call('HDEL', base .. 'waiting', round)
redis.call('HSET', base .. 'admitted', round, kind .. ' ' .. owner)
redis.call('SADD', places_of(owner), round)
redis.call('ZADD', window, time[1] * 1000 + math.floor(time[2] / 1000), round)
redis.call('ZADD', served, redis.call('INCR', base .. 'turn'), owner)
redis.call('ZREMRANGEBYRANK', served, 0, -ARGV[5] - 1)
redis.call('PEXPIRE', served, ARGV[6])
reseat(owner)
return round
