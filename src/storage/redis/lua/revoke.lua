--[[ Stores a revocation, or its undoing, and notifies all nodes.

  KEYS  1 hash of revocations: jti:<jti> or sub:<sub> → "<before> <until>"
        2 sorted set of the same fields by until (ms)  3 version
        4 hash of the same fields → "<revoked at> <undone at>" (ms; one slot)
  ARGV  1 channel  2 field  3 before (ms, 0 for a jti)  4 until (ms)  5 prefix of the next version
        6 'revoke' | 'undo' | 'restore'  7 revoked at  8 undone at, as far as the caller knows (ms; 0: never)
  Returns when it was revoked or undone (ms), or 0 if nothing was done: it ends in the past, there is nothing to undo,
  or everything is already known

  A revocation is in effect if it was revoked after it was undone. Two entries of one field are merged by the larger of
  each number, so a repeated call changes nothing, and nodes may write back what this Redis has lost ('restore') in any
  order. An undone entry remains until its end, as a tombstone. Otherwise a node or a replica that knows only the
  revocation would bring it back.

  Atomic, because a node that sees a new version must find the entry, and a node that applies a message must have
  received everything before it. The message "<version before> <next version> <before> <until> <field>" proves this.
  The version ends in "@<ms>", the time of the revocation or undoing. The field of an undoing begins with "undo:".
  Each call removes expired entries; the keys expire with their last entry.
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, field in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 1000)) do
  redis.call('HDEL', KEYS[1], field)
  redis.call('HDEL', KEYS[4], field)
  redis.call('ZREM', KEYS[2], field)
end

local function numbers(text, ...)
  local a, b = string.match(text or '', '^(%d+) (%d+)$')
  if a then return tonumber(a), tonumber(b) end
  return ...
end
local field, what = ARGV[2], ARGV[6]
local known = redis.call('HGET', KEYS[1], field)
local before, till = numbers(known, 0, 0)
-- An entry of an older version has no marks: it was revoked at some time.
local revoked, undone = numbers(redis.call('HGET', KEYS[4], field), known and 1 or 0, 0)
revoked, undone = math.max(revoked, tonumber(ARGV[7])), math.max(undone, tonumber(ARGV[8]))

if what == 'undo' then
  if not known or undone >= revoked then return 0 end
  undone = math.max(now, revoked)
else
  before, till = math.max(before, tonumber(ARGV[3])), math.max(till, tonumber(ARGV[4]))
  if tonumber(ARGV[4]) <= now then return 0 end
  if what == 'revoke' then revoked = math.max(now, undone + 1) end
end

local value = string.format('%.0f %.0f', before, till)
local marks = string.format('%.0f %.0f', revoked, undone)
if what == 'restore' and value == known and marks == redis.call('HGET', KEYS[4], field) then return 0 end
redis.call('HSET', KEYS[1], field, value)
redis.call('HSET', KEYS[4], field, marks)
redis.call('ZADD', KEYS[2], till, field)
local last = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')
local ends = string.format('%.0f', math.max(tonumber(last[2]), now + 1000))
for _, key in ipairs({ KEYS[1], KEYS[2], KEYS[4] }) do redis.call('PEXPIREAT', key, ends) end

local is_undone = undone >= revoked
local version = redis.call('GET', KEYS[3]) or '-'
local at = is_undone and undone or revoked
local next = ARGV[5] .. '@' .. string.format('%.0f', at)
redis.call('SET', KEYS[3], next)
redis.call('PUBLISH', ARGV[1], table.concat({ version, next, value, (is_undone and 'undo:' or '') .. field }, ' '))
return at
