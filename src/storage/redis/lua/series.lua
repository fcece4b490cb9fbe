--[[ Included before publish.lua: folds the points of a metric into its curve, as `SeriesFold` (src/core/series.ts).

  The curves of a job are one hash. Its fields, beside those of telemetry.lua:
    series    number of curves
    buckets   number of buckets of all curves
    =<name>   head of a curve: points, points per bucket (k), buckets, number of the curve; then 's' (x is a step) or 't'
              (seconds), then the unit
    <number>.<i>  buckets of a curve, in chunks of 36: first and last x; first, least, greatest and last y; points
]]
local BUCKET, BUCKET_BYTES, CHUNK = '<ddddddd', 56, 36
local HEAD = '<ddHH'
local MAX_BUCKETS = 2000

local function series_head(key, name)
  local packed = redis.call('HGET', key, '=' .. name)
  if not packed then return nil end
  local n, k, size, number, at = struct.unpack(HEAD, packed)
  return { name = name, n = n, k = k, size = size, number = number, x = string.sub(packed, at, at), unit = string.sub(packed, at + 1) }
end

local function save_head(key, head)
  redis.call('HSET', key, '=' .. head.name, struct.pack(HEAD, head.n, head.k, head.size, head.number) .. head.x .. head.unit)
end

local function merge(a, b)
  a[2], a[4], a[5], a[6], a[7] = b[2], math.min(a[4], b[4]), math.max(a[5], b[5]), b[6], a[7] + b[7]
end

local function pack(b)
  return struct.pack(BUCKET, b[1], b[2], b[3], b[4], b[5], b[6], b[7])
end

-- Merges neighbours, and doubles k.
local function double(key, head)
  head.k = 2 * head.k
  local chunks, fields = math.ceil(head.size / CHUNK), {}
  if chunks == 0 then return end
  for i = 0, chunks - 1 do fields[i + 1] = head.number .. '.' .. i end
  local bytes, merged = table.concat(redis.call('HMGET', key, unpack(fields))), {}
  for at = 1, #bytes, 2 * BUCKET_BYTES do
    local bucket = { struct.unpack(BUCKET, bytes, at) }
    if at + BUCKET_BYTES <= #bytes then merge(bucket, { struct.unpack(BUCKET, bytes, at + BUCKET_BYTES) }) end
    merged[#merged + 1] = pack(bucket)
  end
  head.size = #merged
  for i = 0, chunks - 1 do
    if i * CHUNK < #merged then
      redis.call('HSET', key, fields[i + 1], table.concat(merged, '', i * CHUNK + 1, math.min((i + 1) * CHUNK, #merged)))
    else
      redis.call('HDEL', key, fields[i + 1])
    end
  end
end

-- Doubles k of the largest curves until all of them have at most `limits.buckets` buckets. Returns their heads by name.
local function shrink(key, total, limits)
  local heads, shrunk, share = {}, {}, math.floor(limits.buckets / limits.series)
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if string.sub(field, 1, 1) == '=' then heads[#heads + 1] = series_head(key, string.sub(field, 2)) end
  end
  while total > limits.buckets do
    local before = total
    for _, head in ipairs(heads) do
      if head.size > share and head.size > 1 then
        total = total - head.size
        double(key, head)
        total = total + head.size
        shrunk[head.name] = head
      end
    end
    if total == before then break end
  end
  for _, head in pairs(shrunk) do save_head(key, head) end
  redis.call('HSET', key, 'buckets', total)
  return shrunk
end

--[[ Folds the next points of a curve.

  part    table: name, unit, x ('s' or 't'), k (points per bucket at least), bytes (buckets, '<ddddddd' each)
  limits  table: series (maximum number of curves), buckets (maximum number of buckets of all curves)
  Returns the points before, the head of the curve, and the heads of other curves whose k has changed, by name.
  Nil if there is no room for another curve.
]]
local function fold_series(key, part, limits)
  local head = series_head(key, part.name)
  if not head then
    local number = tonumber(redis.call('HGET', key, 'series') or 0)
    if number >= limits.series then return nil end
    redis.call('HSET', key, 'series', number + 1)
    head = { name = part.name, n = 0, k = 1, size = 0, number = number, x = part.x }
  end
  head.unit = part.unit
  local from, size = head.n, head.size
  while head.k < part.k do double(key, head) end

  -- The last chunk: its complete buckets as strings, their number, and its last bucket, to which points may be added.
  local chunk, complete, count, last
  local function load()
    chunk, complete, count, last = math.max(0, math.ceil(head.size / CHUNK) - 1), {}, 0, nil
    if head.size == 0 then return end
    local bytes = redis.call('HGET', key, head.number .. '.' .. chunk)
    last = { struct.unpack(BUCKET, bytes, #bytes - BUCKET_BYTES + 1) }
    complete[1] = string.sub(bytes, 1, -BUCKET_BYTES - 1)
    count = #complete[1] / BUCKET_BYTES
  end
  local function save()
    if last then redis.call('HSET', key, head.number .. '.' .. chunk, table.concat(complete) .. pack(last)) end
  end
  load()
  for at = 1, #part.bytes, BUCKET_BYTES do
    local bucket = { struct.unpack(BUCKET, part.bytes, at) }
    while math.floor(head.n / head.k) >= MAX_BUCKETS do
      save()
      double(key, head)
      load()
    end
    if last and math.floor(head.n / head.k) < head.size then
      merge(last, bucket)
    else
      if last then
        complete[#complete + 1] = pack(last)
        count = count + 1
      end
      if count == CHUNK then
        redis.call('HSET', key, head.number .. '.' .. chunk, table.concat(complete))
        chunk, complete, count = chunk + 1, {}, 0
      end
      last = bucket
      head.size = head.size + 1
    end
    head.n = head.n + bucket[7]
  end
  save()
  save_head(key, head)
  local total, others = 0, {}
  if head.size ~= size then total = redis.call('HINCRBY', key, 'buckets', head.size - size) end
  if total > limits.buckets then others = shrink(key, total, limits) end
  head = others[part.name] or head
  others[part.name] = nil
  return from, head, others
end
