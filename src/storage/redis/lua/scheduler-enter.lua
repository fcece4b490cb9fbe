--[[ Lets a round wait.

  KEYS, ARGV 1  as in scheduler.lua
  ARGV  2 round  3 queue  4 'c' or 'f'  5 owner
  Returns 'waiting' or 'admitted'

  Atomic, because a submit that comes twice must wait once, and because a user must not miss a ring for a place that becomes free at this moment.
]]
local round, queue, way, owner = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if redis.call('HEXISTS', base .. 'admitted', round) == 1 then return 'admitted' end
if redis.call('HSETNX', base .. 'waiting', round, queue .. ' ' .. way .. ' ' .. owner) == 1 then
  redis.call('SADD', base .. 'queues', queue)
  redis.call('SADD', base .. 'queues:' .. owner, queue)
  redis.call('ZADD', line_of(queue, owner, way), redis.call('INCR', base .. 'turn'), round)
  reseat(owner)
end
return 'waiting'
