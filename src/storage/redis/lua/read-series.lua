--[[ Reads the curves of a job, those of its current attempt. Included after series.lua.

  KEYS  1 hash  2 series (one slot)
  ARGV  1 name of a metric ('' = all, without their buckets)  2 only the buckets that contain points after so many
  Returns false if there is no such job, or {owner, generation, round, attempt, seq, curves}.
  curves = {name, unit, x ('s' or 't'), points, points per bucket, number of buckets, points before the returned
  buckets, buckets ('<ddddddd' each)} each, in the order in which they began

  Atomic, because the curves must be those of this attempt of this owner.
]]
local f = redis.call('HMGET', KEYS[1], 'owner', 'generation', 'round', 'attempt', 'seq', 'series')
if not f[1] then return false end
local function answer(curves) return { f[1], f[2], f[3], f[4], tonumber(f[5]), curves } end
if f[6] ~= f[3] .. ' ' .. f[4] then return answer({}) end

local function curve(head, from, bytes)
  return { head.name, head.unit, head.x, head.n, head.k, head.size, from, bytes }
end
if ARGV[1] ~= '' then
  local head = series_head(KEYS[2], ARGV[1])
  if not head then return answer({}) end
  local first = math.floor(tonumber(ARGV[2]) / head.k)
  if tonumber(ARGV[2]) >= head.n then return answer({ curve(head, head.n, '') }) end
  local fields = {}
  for i = math.floor(first / CHUNK), math.ceil(head.size / CHUNK) - 1 do fields[#fields + 1] = head.number .. '.' .. i end
  local bytes = table.concat(redis.call('HMGET', KEYS[2], unpack(fields)))
  return answer({ curve(head, first * head.k, string.sub(bytes, first % CHUNK * BUCKET_BYTES + 1)) })
end
local heads = {}
for _, field in ipairs(redis.call('HKEYS', KEYS[2])) do
  if string.sub(field, 1, 1) == '=' then heads[#heads + 1] = series_head(KEYS[2], string.sub(field, 2)) end
end
table.sort(heads, function(a, b) return a.number < b.number end)
for i, head in ipairs(heads) do heads[i] = curve(head, head.n, '') end
return answer(heads)
