--[[ Changes words of a job: title, tags, metadata.

  KEYS  1 hash  2 channel of the job (one slot)
  ARGV  1 owner, then pairs: field, text ('' removes the field)
  Returns 'none' if there is no such job of this owner, 'same' if it has these words already, otherwise 'final' if the
  job has ended, or 'active'

  Words are no entries, so that they can change after the end as well, where no entry may follow. The channel gets a
  text that is no envelope. Every hub, also one of an earlier version, takes that for a gap and reads the job again.

  Atomic, because a hash that expires meanwhile must not come back with words alone, and because the id may pass to
  another owner.
]]
local f = redis.call('HMGET', KEYS[1], 'owner', 'status')
if f[1] ~= ARGV[1] then return 'none' end
local is_changed = false
for i = 2, #ARGV, 2 do
  local field, text = ARGV[i], ARGV[i + 1]
  if (redis.call('HGET', KEYS[1], field) or '') ~= text then
    is_changed = true
    if text == '' then redis.call('HDEL', KEYS[1], field) else redis.call('HSET', KEYS[1], field, text) end
  end
end
if not is_changed then return 'same' end
redis.call('PUBLISH', KEYS[2], 'words')
local is_final = f[2] == 'completed' or f[2] == 'failed' or f[2] == 'cancelled'
return is_final and 'final' or 'active'
