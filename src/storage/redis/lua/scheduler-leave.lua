--[[ Takes a round away, whatever it is.

  KEYS, ARGV 1  as in scheduler.lua
  ARGV  2 round
  Returns its queue, or false where it is not here

  Atomic, because a round that is admitted at this moment must not leave a place taken for ever.
]]
local round = ARGV[2]
local held = redis.call('HGET', base .. 'waiting', round) or redis.call('HGET', base .. 'admitted', round)
if not held then return false end
local queue, way, owner = string.match(held, '^(%S+) (%a) (.*)$')
redis.call('HDEL', base .. 'waiting', round)
redis.call('HDEL', base .. 'admitted', round)
redis.call('ZREM', line_of(queue, owner, way), round)
redis.call('SREM', places_of(owner), round)
redis.call('ZREM', base .. 'window:' .. queue, round)
reseat(owner)
return queue
