--[[ Reads a user's jobs with the position of that knowledge.

  KEYS  1 sorted set of active jobs  2 sorted set of ended ones  3 hash of the count (one slot)
  ARGV  1 most active jobs  2 most ended ones
  Returns {generation or '', seq, active ids, ended ids}, newest first

  Atomic, because the jobs and the count must be of the same moment.
]]
local count = redis.call('HMGET', KEYS[3], 'generation', 'seq')
return {
  count[1] or '', tonumber(count[2] or 0),
  redis.call('ZREVRANGE', KEYS[1], 0, ARGV[1] - 1), redis.call('ZREVRANGE', KEYS[2], 0, ARGV[2] - 1)
}
