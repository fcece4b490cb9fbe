--[[ Reads one page of the jobs that are in several sets of a user, newest first.

  KEYS  sorted sets, all of which must hold the job; by submit time (ms), or the first one by another time if ARGV[7]
        (one slot)
  ARGV  1 prefix of the index  2 maximum number of jobs  3 maximum number of jobs to look at
        4 highest score, or '+inf'  5 id of the cursor: only jobs after it, or ''  6 lowest score, or '-inf'
        7 '1': in the order of the first set  8 folded beginning of the title, or ''  9 '1': leave out the last set
  Returns {cursor or '', ids}; the page ends at the cursor if there may be more

  The smallest set is read, and its jobs are looked up in the others: in growing chunks until the page is full. If few
  jobs are in all sets, it reads these instead. Reads only, and at most ARGV[3] jobs in chunks.
]]
local MAX_CHUNK, MAX_TITLES = 256, 1000
-- The size of a set that is intersected as a whole, and the number of results that count as few.
local MAX_INTERSECTED, FEW = 4096, 256
local base, limit, looks = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local max, after, min, title = ARGV[4], ARGV[5], ARGV[6], ARGV[8]
local sets, without = {}, nil
for i, key in ipairs(KEYS) do sets[i] = key end
if ARGV[9] == '1' then without = table.remove(sets) end

local from, least = 1, redis.call('ZCARD', sets[1])
for i = 2, ARGV[7] == '1' and 1 or #sets do
  local size = redis.call('ZCARD', sets[i])
  if size < least then from, least = i, size end
end
local driver = table.remove(sets, from)

-- The rows of these ids that the driver has, newest first, without those of earlier pages.
local function sorted(ids)
  local rows, scores = {}, #ids > 0 and redis.call('ZMSCORE', driver, unpack(ids)) or {}
  local highest, lowest = tonumber(max) or math.huge, tonumber(min) or -math.huge
  for i, id in ipairs(ids) do
    local score = tonumber(scores[i] or nil)
    if score and score <= highest and score >= lowest then rows[#rows + 1] = { id, scores[i], score } end
  end
  table.sort(rows, function(a, b)
    if a[3] == b[3] then return a[1] > b[1] end
    return a[3] > b[3]
  end)
  return rows
end

-- All candidates, if these are few: the jobs with such a title, or those in all sets.
local candidates
if title ~= '' and ARGV[7] ~= '1' then
  local low, high = '[' .. title, '[' .. title .. '\255'
  if redis.call('ZLEXCOUNT', base .. ':titles', low, high) <= MAX_TITLES then
    local ids = {}
    for i, member in ipairs(redis.call('ZRANGEBYLEX', base .. ':titles', low, high)) do ids[i] = string.match(member, '%z(.*)$') end
    candidates = sorted(ids)
  end
end
local has_title = candidates ~= nil
if not has_title and #sets > 0 and least <= MAX_INTERSECTED then
  local all = { #sets + 1, driver, unpack(sets) }
  local few = { unpack(all) }
  few[#few + 1] = 'LIMIT'
  few[#few + 1] = FEW
  if redis.call('ZINTERCARD', unpack(few)) < FEW then
    candidates, sets = sorted(redis.call('ZINTER', unpack(all))), {}
  end
end

local offset, size = 0, math.min(limit + 1, MAX_CHUNK)
local function chunk()
  local rows = {}
  if candidates then
    for i = offset + 1, math.min(offset + size, #candidates) do rows[#rows + 1] = candidates[i] end
  else
    local flat = redis.call('ZREVRANGEBYSCORE', driver, max, min, 'WITHSCORES', 'LIMIT', offset, size)
    for i = 1, #flat, 2 do rows[#rows + 1] = { flat[i], flat[i + 1] } end
  end
  offset = offset + size
  return rows
end

local found, cursor, last = {}, '', nil
while cursor == '' do
  local read = chunk()
  local rows, ids = {}, {}
  for _, row in ipairs(read) do
    -- Jobs with the score of the cursor come in reverse lexical order.
    if after == '' or row[2] ~= max or row[1] < after then
      rows[#rows + 1] = row
      ids[#ids + 1] = row[1]
    end
  end
  if #ids > 0 then
    local inside = {}
    for i, key in ipairs(sets) do inside[i] = redis.call('ZMSCORE', key, unpack(ids)) end
    local outside = without and redis.call('ZMSCORE', without, unpack(ids))
    local records = title ~= '' and not has_title and redis.call('HMGET', base .. ':of', unpack(ids))
    for i, row in ipairs(rows) do
      local fits = not (outside and outside[i])
      for _, scores in ipairs(inside) do fits = fits and scores[i] end
      if records then fits = fits and records[i] and string.sub(records[i], 1, #title) == title end
      if fits and #found == limit then
        cursor = found[limit][2] .. ':' .. found[limit][1]
        break
      end
      if fits then found[#found + 1] = row end
      last = row
    end
  end
  if #read < size then break end
  looks, size = looks - #read, math.min(2 * size, MAX_CHUNK)
  if cursor == '' and looks <= 0 and last then cursor = last[2] .. ':' .. last[1] end
end
local ids = {}
for i, row in ipairs(found) do ids[i] = row[1] end
return { cursor, ids }
