--[[ Renews the leases of a user's sockets on one node.

  KEYS  1 sorted set of the user's sockets
  ARGV  1 lease (ms)  2… members
  Returns 1; the value has no meaning

  Atomic, because lease and clock must be of the same moment. Sockets whose lease has expired meanwhile, as in a long
  outage of Redis, are added again regardless of the limit: they are open.
]]
local time = redis.call('TIME')
local ends = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1]
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], ends, ARGV[i]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
