--[[ Reserves a slot for a socket of a user, if one is left.

  KEYS  1 sorted set of the user's sockets over all nodes: <node>:<socket> by the expiry of its lease (ms)
  ARGV  1 member  2 maximum number of members  3 lease (ms)  4… members of dead nodes
  Returns 1, or 0 if no slot is left

  Atomic, because concurrent requests of several nodes must never get more slots than exist.
  Uses the clock of Redis: the clocks of the nodes may differ by more than a lease.
  A member that is already there keeps its slot, so a repeated call reserves no second one.
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
for i = 4, #ARGV do redis.call('ZREM', KEYS[1], ARGV[i]) end
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
