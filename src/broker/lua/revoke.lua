--[[ Stores a revocation and tells all nodes.

  KEYS  1 hash of revocations: jti:<jti> or sub:<sub> → "<before> <until>"  2 sorted set of the same fields by until (ms)  3 version (one slot)
  ARGV  1 channel  2 field  3 before (ms, 0 for a jti)  4 until (ms)  5 next version
  Returns nothing of use

  Atomic, because a node that sees the version change must find the entry, and one that applies the message must have had everything before it: the message
  "<version before> <next version> <before> <until> <field>" says so. Of two revocations of one field the wider holds, so a repeated call changes nothing.
  What has expired leaves with the next call; the keys expire with their last entry.
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, field in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 1000)) do
  redis.call('HDEL', KEYS[1], field)
  redis.call('ZREM', KEYS[2], field)
end
local before, till = tonumber(ARGV[3]), tonumber(ARGV[4])
local known = redis.call('HGET', KEYS[1], ARGV[2])
if known then
  local b, u = string.match(known, '^(%d+) (%d+)$')
  before, till = math.max(before, tonumber(b)), math.max(till, tonumber(u))
end
local value = string.format('%.0f %.0f', before, till)
redis.call('HSET', KEYS[1], ARGV[2], value)
redis.call('ZADD', KEYS[2], till, ARGV[2])
local last = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')
local ends = string.format('%.0f', math.max(tonumber(last[2]), now + 1000))
redis.call('PEXPIREAT', KEYS[1], ends)
redis.call('PEXPIREAT', KEYS[2], ends)
local version = redis.call('GET', KEYS[3]) or '-'
redis.call('SET', KEYS[3], ARGV[5])
redis.call('PUBLISH', ARGV[1], table.concat({ version, ARGV[5], value, ARGV[2] }, ' '))
return 1
