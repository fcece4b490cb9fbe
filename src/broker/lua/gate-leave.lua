--[[ Takes a round away, whatever it is.

  KEYS, ARGV 1-2  as in gate.lua
  ARGV  3 round
  Returns 1, or 0 where it is not here

  Atomic, because a round that is admitted at this moment must not leave a place taken for ever.
]]
local round = ARGV[3]
local held = redis.call('HGET', base .. 'waiting', round) or redis.call('HGET', base .. 'admitted', round)
if not held then return 0 end
local kind, owner = string.match(held, '^(%S+) (.*)$')
redis.call('HDEL', base .. 'waiting', round)
redis.call('HDEL', base .. 'admitted', round)
redis.call('ZREM', queue_of(kind, owner), round)
redis.call('SREM', places_of(owner), round)
redis.call('ZREM', base .. 'window:' .. kind, round)
reseat(owner)
return 1
