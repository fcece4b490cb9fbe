--[[ Included before publish.lua and create.lua.

  Assigns a position to one event and publishes it: seq + 1, envelope, latest entry per key, log, channel.
  Hash, log and channel hold the same bytes: "<generation> <seq> <class> <clears> <to> <key>\n<body>".

  job     table of the job's fields: generation, seq, durables, round, attempt, status (updated here)
  event   table: class, key, body (JSON without seq), to, clears, cleared_keys, stamp ('' = none), at (ISO 8601)
  limits  table: log (maximum number of persisted entries), active_ttl, final_ttl (ms)
]]
-- Set by checkpoint.lua, if it is included.
local keep_checkpoint

local CLASS_CODE = { transient = 't', persisted = 'd', final = 'f' }
local CLEARS_CODE = { attempt = 'a', round = 'r' }

-- A new attempt deletes the latest progress and metrics, a new execution also the terminal entry.
-- Both delete the additional keys that the event names.
local function clear(hash, job, what, cleared_keys)
  for key in string.gmatch(cleared_keys, '%S+') do redis.call('HDEL', hash, 'last:' .. key) end
  for _, field in ipairs(redis.call('HKEYS', hash)) do
    if field == 'last:progress' or string.sub(field, 1, 12) == 'last:metric:' or (what == 'round' and field == 'last:final') then
      redis.call('HDEL', hash, field)
    end
  end
  if what == 'round' then
    job.round = job.round + 1
    job.attempt = 1
    redis.call('HDEL', hash, 'started_at', 'finished_at', 'token', 'n', 'n_seq', 'beat_at')
  else
    job.attempt = job.attempt + 1
  end
  redis.call('HSET', hash, 'round', job.round, 'attempt', job.attempt)
end

local function append(hash, log, channel, job, event, limits)
  if event.clears ~= '' then clear(hash, job, event.clears, event.cleared_keys) end
  job.seq = job.seq + 1
  local tail = ',"seq":' .. job.seq .. '}'
  if event.key == 'status' then tail = ',"attempt":' .. job.attempt .. tail end
  local envelope = table.concat({
    job.generation, job.seq, CLASS_CODE[event.class], CLEARS_CODE[event.clears] or '-',
    event.to ~= '' and event.to or '-', event.key
  }, ' ') .. '\n' .. string.sub(event.body, 1, -2) .. tail

  if event.class == 'transient' then
    redis.call('HSET', hash, 'seq', job.seq, 'last:' .. event.key, envelope)
  else
    job.durables = job.durables + 1
    redis.call('HSET', hash, 'seq', job.seq, 'durables', job.durables, 'last:' .. event.key, envelope)
    redis.call('XADD', log, 'MAXLEN', '~', limits.log, job.seq .. '-0', 'e', envelope)
  end
  if event.to ~= '' then
    job.status = event.to
    redis.call('HSET', hash, 'status', event.to)
    if event.stamp ~= '' then redis.call('HSETNX', hash, event.stamp, event.at) end
  end
  -- The log begins with the first event, and log and hash live as long as the job is active.
  -- Only these events change the TTL.
  local ttl = event.class == 'final' and limits.final_ttl or ((job.seq == 1 or event.clears == 'round') and limits.active_ttl)
  if ttl then
    redis.call('PEXPIRE', hash, ttl)
    redis.call('PEXPIRE', log, ttl)
  end
  redis.call('PUBLISH', channel, envelope)
  return job.seq
end
