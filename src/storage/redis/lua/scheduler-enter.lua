--[[ Adds an execution to the waiting ones, or to the delayed ones.

  KEYS, ARGV 1  as in scheduler.lua
  ARGV  2 execution  3 queue  4 'c' or 'f'  5 owner  6 priority  7 when it may enter (ms)
  Returns 'waiting' or 'admitted'

  Atomic, because a repeated submit must add the execution once, and because a slot that becomes free at the same time
  must put the user into the ring.
]]
local round, queue, way, owner = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if redis.call('HEXISTS', base .. 'admitted', round) == 1 then return 'admitted' end
local place = queue .. ' ' .. way .. ' ' .. owner
if redis.call('HSETNX', base .. 'waiting', round, place) == 0 then return 'waiting' end
if tonumber(ARGV[7]) > now_ms() then
  redis.call('ZADD', base .. 'delayed', ARGV[7], round)
  redis.call('HSET', base .. 'delays', round, ARGV[6] .. ' ' .. place)
  redis.call('SADD', base .. 'delayed:' .. owner, round)
else
  put_waiting(round, queue, way, owner, ARGV[6])
end
return 'waiting'
