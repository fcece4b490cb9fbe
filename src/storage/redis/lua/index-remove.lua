--[[ Moves a job that has ended from its owner's active jobs to the ended ones.

  KEYS  1 sorted set of active jobs  2 sorted set of ended jobs (one slot)
  ARGV  1 id  2 maximum number of ended jobs  3 TTL of an ended job (ms)

  Atomic, so that a job is always in one of the two sets.
]]
local now = redis.call('TIME')
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[2], now[1] * 1000000 + now[2], ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -ARGV[2] - 1)
redis.call('PEXPIRE', KEYS[2], ARGV[3])
