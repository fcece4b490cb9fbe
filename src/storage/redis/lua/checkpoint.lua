--[[ Included between append.lua and publish.lua: a publication that also replaces a checkpoint.

  KEYS  8 hash of the checkpoint: version, round, parts (ids of the open child jobs), data
  ARGV  after those of publish.lua: version, children, data. The round is that of the writer

  Atomic, because the events of a step and the start of the next step must match.
  Otherwise a result would be published twice, or never.
]]
local data, children, version = table.remove(ARGV), table.remove(ARGV), table.remove(ARGV)
if (tonumber(redis.call('HGET', KEYS[8], 'version')) or 0) ~= version - 1 then
  return { 'stale_checkpoint', 0, redis.call('HGET', KEYS[1], 'status') or '' }
end
keep_checkpoint = function(ttl)
  redis.call('HSET', KEYS[8], 'version', version, 'round', ARGV[2], 'parts', children, 'data', data)
  redis.call('PEXPIRE', KEYS[8], ttl)
end
