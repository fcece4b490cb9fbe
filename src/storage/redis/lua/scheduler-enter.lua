--[[ Adds an execution to the waiting ones.

  KEYS, ARGV 1  as in scheduler.lua
  ARGV  2 execution  3 queue  4 'c' or 'f'  5 owner
  Returns 'waiting' or 'admitted'

  Atomic, because a repeated submit must add the execution once, and because a slot that becomes free at the same time
  must put the user into the ring.
]]
local round, queue, way, owner = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if redis.call('HEXISTS', base .. 'admitted', round) == 1 then return 'admitted' end
if redis.call('HSETNX', base .. 'waiting', round, queue .. ' ' .. way .. ' ' .. owner) == 1 then
  redis.call('SADD', base .. 'queues', queue)
  redis.call('SADD', base .. 'queues:' .. owner, queue)
  redis.call('ZADD', waiting_of(queue, owner, way), redis.call('INCR', base .. 'turn'), round)
  update_rings(owner)
end
return 'waiting'
