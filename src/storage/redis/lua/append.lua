--[[ Included before publish.lua and create.lua.

  Assigns a position to one event and publishes it: seq + 1, envelope, latest entry per key, log, channel.
  Hash, log and channel hold the same bytes: "<generation> <seq> <class> <clears> <to> <key>\n<body>".

  keys    table: hash, log, channel, kept, lines, series, telemetry (one slot)
  job     table of the job's fields: generation, seq, durables, round, attempt, status (updated here)
  event   table: class, key, body (JSON without seq), to, clears, cleared_keys, stamp ('' = none), at (ISO 8601)
  limits  table: log (maximum number of persisted entries), active_ttl, final_ttl (ms)

  The log is trimmed in blocks. Entries that are not metrics move to a second stream (kept), with the same limit, so
  that a talkative metric evicts nothing else. The log itself stays as earlier versions wrote it: whether it reaches
  back to a position is decided by the log alone. The field `kept` of the hash says that the second stream belongs to
  this job.
]]
local TRIM_BLOCK = 100

-- Gives a key the TTL of the hash.
local function expire_with(hash, key)
  local ttl = redis.call('PTTL', hash)
  if ttl > 0 then redis.call('PEXPIRE', key, ttl) end
end

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

local function trim(keys, limits)
  local most = tonumber(limits.log)
  if redis.call('XLEN', keys.log) < most + TRIM_BLOCK then return end
  -- A stream that outlived an earlier job with this id is not of this job.
  if redis.call('HSETNX', keys.hash, 'kept', '1') == 1 then redis.call('DEL', keys.kept) end
  local oldest = redis.call('XRANGE', keys.log, '-', '+', 'COUNT', TRIM_BLOCK)
  for _, entry in ipairs(oldest) do
    local key = string.match(entry[2][2], '^[^\n]* (%S+)\n') or ''
    if string.sub(key, 1, 7) ~= 'metric:' then
      redis.call('XADD', keys.kept, 'MAXLEN', '~', most, entry[1], entry[2][1], entry[2][2])
    end
  end
  local first = tonumber(string.match(oldest[#oldest][1], '^%d+')) + 1
  redis.call('XTRIM', keys.log, 'MINID', string.format('%.0f-0', first))
  expire_with(keys.hash, keys.kept)
end

local function append(keys, job, event, limits)
  local hash = keys.hash
  if event.clears ~= '' then clear(hash, job, event.clears, event.cleared_keys) end
  job.seq = job.seq + 1
  local tail = ',"seq":' .. job.seq .. '}'
  -- Set by telemetry.lua: the number of points of a metric with this entry.
  local points = job.points and job.points[event.key]
  if points and #points > 0 then tail = string.format(',"n":%.0f', table.remove(points, 1)) .. tail end
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
    redis.call('XADD', keys.log, job.seq .. '-0', 'e', envelope)
    trim(keys, limits)
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
    for _, key in ipairs({ hash, keys.log, keys.kept, keys.lines, keys.series }) do redis.call('PEXPIRE', key, ttl) end
  end
  redis.call('PUBLISH', keys.channel, envelope)
  return job.seq
end
