--[[ Included before publish.lua: what a job reports beside its entries. It takes no position of the job.

  Telemetry is part of a fenced write, so a write that is sent again adds nothing twice. Each kind of telemetry has a
  reducer: a function (keys, job, args, limits) that adds to what Redis holds and publishes the increment on the
  channel of telemetry: a line "<reducer> <generation> <round> …", then the body.

  append  log lines of an execution, numbered from 1.
          args: number of lines before these that were left out because the limit would drop them, then the lines, each
          as JSON. The stream has one entry per line, with the id <number>-0. The field `lines` of the hash is
          "<generation> <round> <last number> <bytes>": a stream without this field, or with another round in it, is
          of another job or execution and is deleted. Numbers in the stream have no gap.
          Message: "append <generation> <round> <first number> <count>", then a JSON array.
]]
local reducers = {}

local LINE_BLOCK = 64

-- Removes the oldest lines beyond the limits. The newest line stays. Returns the bytes that are left.
local function trim_lines(lines, count, bytes, limits)
  local cut
  local function over() return count > 1 and (count > limits.lines or bytes > limits.line_bytes) end
  while over() do
    for _, line in ipairs(redis.call('XRANGE', lines, cut and '(' .. cut or '-', '+', 'COUNT', LINE_BLOCK)) do
      if not over() then break end
      cut, count, bytes = line[1], count - 1, bytes - #line[2][2]
    end
  end
  if cut then redis.call('XTRIM', lines, 'MINID', string.format('%.0f-0', tonumber(string.match(cut, '^%d+')) + 1)) end
  return bytes
end

reducers.append = function(keys, job, args, limits)
  local round, last, bytes = string.match(redis.call('HGET', keys.hash, 'lines') or '', '^%S+ (%d+) (%d+) (%d+)$')
  last, bytes = tonumber(last), tonumber(bytes)
  local skipped = tonumber(args[1])
  if tonumber(round) ~= job.round then
    redis.call('DEL', keys.lines)
    last, bytes = 0, 0
  elseif skipped > 0 then
    redis.call('DEL', keys.lines)
  end
  last = last + skipped
  local count = redis.call('XLEN', keys.lines)
  if count == 0 then bytes = 0 end
  local first = last + 1
  for i = 2, #args do
    last = last + 1
    redis.call('XADD', keys.lines, string.format('%.0f-0', last), 'l', args[i])
    bytes = bytes + #args[i]
  end
  bytes = trim_lines(keys.lines, count + #args - 1, bytes, limits)
  redis.call('HSET', keys.hash, 'lines', string.format('%s %.0f %.0f %.0f', job.generation, job.round, last, bytes))
  expire_with(keys.hash, keys.lines)
  local head = string.format('append %s %.0f %.0f %.0f\n', job.generation, job.round, first, last - first + 1)
  redis.call('PUBLISH', keys.telemetry, head .. '[' .. table.concat(args, ',', 2) .. ']')
end

--[[ Folds points into the curve of a metric, of the current attempt.

  args: name, key of the entries of the metric, unit, 's' (x is a step) or 't' (seconds), points per bucket at least,
  buckets, the JSON of the message. The field `series` of the hash is "<round> <attempt>": curves without this field, or
  of another attempt, are deleted.
  Messages: "series <generation> <round> <attempt> <from> <n> <k> <name>", then the JSON with from, n and k. A curve whose
  k has changed for the sake of another one has a message without points.
]]
reducers.series = function(keys, job, args, limits)
  local attempt = job.round .. ' ' .. job.attempt
  -- Once per write.
  local is_new = false
  if not job.has_series then
    if redis.call('HGET', keys.hash, 'series') ~= attempt then
      redis.call('DEL', keys.series)
      redis.call('HSET', keys.hash, 'series', attempt)
    end
    is_new = redis.call('EXISTS', keys.series) == 0
    job.has_series = true
  end
  local part = { name = args[1], unit = args[3], x = args[4], k = tonumber(args[5]), bytes = args[6] }
  local from, head, others = fold_series(keys.series, part, limits)
  if is_new then expire_with(keys.hash, keys.series) end
  -- The entry of the metric is published all the same.
  if not from then return end
  job.points[args[2]] = job.points[args[2]] or {}
  table.insert(job.points[args[2]], head.n)
  local function publish(body, from, head)
    local position = string.format('"from":%.0f,"n":%.0f,"k":%.0f}', from, head.n, head.k)
    local first = string.format('series %s %s %.0f %.0f %.0f ', job.generation, attempt, from, head.n, head.k)
    redis.call('PUBLISH', keys.telemetry, first .. head.name .. '\n' .. string.sub(body, 1, -2) .. ',' .. position)
  end
  publish(args[7], from, head)
  for name, other in pairs(others) do
    local x = other.x == 's' and 'step' or 'seconds'
    local body = { metric_name = name, unit = other.unit, x = x }
    publish(cjson.encode(body), other.n, other)
  end
end

-- Whether every metric that has no entry in this write has a curve, or gets one.
local function has_room(keys, job, events, at, limits)
  local entries, fresh, count = {}, {}, 0
  for _, event in ipairs(events) do entries[event.key] = true end
  local is_current = redis.call('HGET', keys.hash, 'series') == job.round .. ' ' .. job.attempt
  while ARGV[at] do
    local name, key = ARGV[at + 2], ARGV[at + 3]
    if ARGV[at] == 'series' and not entries[key] and not fresh[name] then
      if not (is_current and redis.call('HEXISTS', keys.series, '=' .. name) == 1) then
        fresh[name], count = true, count + 1
      end
    end
    at = at + 2 + tonumber(ARGV[at + 1])
  end
  if count == 0 then return true end
  return (is_current and tonumber(redis.call('HGET', keys.series, 'series') or 0) or 0) + count <= limits.series
end

local function reduce(keys, job, at, limits)
  while ARGV[at] do
    local args, count = {}, tonumber(ARGV[at + 1])
    for i = 1, count do args[i] = ARGV[at + 1 + i] end
    reducers[ARGV[at]](keys, job, args, limits)
    at = at + 2 + count
  end
end
