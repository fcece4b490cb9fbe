--[[ Lets a round wait.

  KEYS, ARGV 1-2  as in gate.lua
  ARGV  3 round  4 kind  5 owner
  Returns 'waiting' or 'admitted'

  Atomic, because a submit that comes twice must wait once, and because a user must not miss a ring for a place that becomes free at this moment.
]]
local round, kind, owner = ARGV[3], ARGV[4], ARGV[5]
if redis.call('HEXISTS', base .. 'admitted', round) == 1 then return 'admitted' end
if redis.call('HSETNX', base .. 'waiting', round, kind .. ' ' .. owner) == 1 then
  redis.call('ZADD', queue_of(kind, owner), redis.call('INCR', base .. 'turn'), round)
  reseat(owner)
end
return 'waiting'
