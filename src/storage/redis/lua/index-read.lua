--[[ Reads a user's jobs with the position of this snapshot.

  KEYS  1 sorted set of active jobs  2 sorted set of ended jobs  3 hash of the counter (one slot)
  ARGV  1 maximum number of active jobs  2 maximum number of ended jobs
  Returns {generation or '', seq, active ids, ended ids}, newest first

  Atomic, because jobs and counter must be of the same moment.
]]
local count = redis.call('HMGET', KEYS[3], 'generation', 'seq')
return {
  count[1] or '', tonumber(count[2] or 0),
  redis.call('ZREVRANGE', KEYS[1], 0, ARGV[1] - 1), redis.call('ZREVRANGE', KEYS[2], 0, ARGV[2] - 1)
}
