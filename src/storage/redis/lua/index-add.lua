--[[ Adds a job to its owner's active jobs and publishes the change on the owner's channel.

  KEYS  1 sorted set of active jobs  2 sorted set of ended jobs  3 hash of the counter  4 channel (one slot)
  ARGV  1 id  2 generation, for a new counter  3 TTL (ms)  4 '1': also publish if the job is already active
  Returns the seq of the index change, or 0 if nothing was published

  The score is the time in microseconds, so that jobs added in the same millisecond keep their order.

  Atomic, because two submits of one id must be published once, and each index change has its own position.
]]
local now = redis.call('TIME')
local again = ARGV[4] == '1'
local at = now[1] * 1000000 + now[2]
local added = redis.call('ZADD', KEYS[1], 'NX', at, ARGV[1])
if again then redis.call('ZADD', KEYS[1], at, ARGV[1]) end
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -10001)
-- Together, so that the counter does not restart while jobs that it has counted exist.
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[3], ARGV[3])
if added == 0 and not again then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HSETNX', KEYS[3], 'generation', ARGV[2])
local seq = redis.call('HINCRBY', KEYS[3], 'seq', 1)
redis.call('PEXPIRE', KEYS[3], ARGV[3])
redis.call('PUBLISH', KEYS[4], redis.call('HGET', KEYS[3], 'generation') .. ' ' .. seq .. ' ' .. ARGV[1])
return seq
