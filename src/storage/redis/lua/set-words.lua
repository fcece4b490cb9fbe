--[[ Changes words of a job: title, tags, metadata.

  KEYS  1 hash  2 channel of the job (one slot)
  ARGV  pairs: field, text ('' removes the field)
  Returns 1, or 0 if there is no such job

  Words are no entries, so that they can change after the end as well, where no entry may follow. The channel gets a
  text that is no envelope. Every hub, also one of an earlier version, takes that for a gap and reads the job again.

  Atomic, because a hash that expires meanwhile must not come back with words alone.
]]
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
for i = 1, #ARGV, 2 do
  if ARGV[i + 1] == '' then redis.call('HDEL', KEYS[1], ARGV[i])
  else redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
end
redis.call('PUBLISH', KEYS[2], 'words')
return 1
