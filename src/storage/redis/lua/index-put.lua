--[[ Writes where a job is found in the lists of its owner, or removes it from all of them.

  KEYS  1 hash: job id → its folded title and the names of its sets, one a line  2 sorted set: the jobs of its kind
        (one slot)
  ARGV  1 prefix of the other keys  2 id  3 TTL (ms)  4 maximum number of jobs of a kind  5 submit time (ms), or '' to
        remove the job  6 '1': add it to the jobs of its kind, '' if it is only there still  7 folded title, or ''
        8… names of its sets
  Returns 1; the value has no meaning

  Sets: `<prefix>:<name>` by submit time, and `<prefix>:titles` with members `<title>\0<id>`.

  Atomic, because the hash must name exactly the sets that hold the job: by it the job is removed from them.
]]
local of, owned, base, id, ttl = KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3]

local function remove(job)
  local record = redis.call('HGET', of, job)
  if not record then return end
  local title = string.match(record, '^[^\n]*')
  if title ~= '' then redis.call('ZREM', base .. ':titles', title .. '\0' .. job) end
  for name in string.gmatch(string.sub(record, #title + 1), '[^\n]+') do redis.call('ZREM', base .. ':' .. name, job) end
  redis.call('HDEL', of, job)
end

if ARGV[6] == '1' then redis.call('ZADD', owned, 'NX', ARGV[5], id) end
-- It may have been trimmed.
if ARGV[5] == '' or not redis.call('ZSCORE', owned, id) then
  remove(id)
  if ARGV[5] == '' then redis.call('ZREM', owned, id) end
  return 1
end

local title, names = ARGV[7], {}
for i = 8, #ARGV do names[#names + 1] = ARGV[i] end
local record = title .. '\n' .. table.concat(names, '\n')
if redis.call('HGET', of, id) ~= record then
  remove(id)
  redis.call('HSET', of, id, record)
  if title ~= '' then redis.call('ZADD', base .. ':titles', 0, title .. '\0' .. id) end
  for _, name in ipairs(names) do redis.call('ZADD', base .. ':' .. name, ARGV[5], id) end
end
for _, key in ipairs({ of, owned, base .. ':titles' }) do redis.call('PEXPIRE', key, ttl) end
for _, name in ipairs(names) do redis.call('PEXPIRE', base .. ':' .. name, ttl) end

local excess = redis.call('ZCARD', owned) - tonumber(ARGV[4])
if excess > 0 then
  local popped = redis.call('ZPOPMIN', owned, math.min(excess, 100))
  for i = 1, #popped, 2 do remove(popped[i]) end
end
return 1
