--[[ hop 4: from broker to subscriber. Writes events and telemetry of one job, all or none.

  KEYS  1 hash  2 log  3 channel  4 kept entries  5 log lines  6 series  7 channel of telemetry (one slot)
  ARGV  1 identity of this store  2 round  3 token  4 n
        5 maximum number of persisted entries in the log  6 maximum number of hash fields (conflation keys and record)
        7 TTL of an active job (ms)  8 TTL of a job that has ended (ms)
        9 maximum number of log lines  10 maximum bytes of log lines  11 maximum number of curves
        12 maximum number of buckets of all curves  13 number of events
        then nine per event: class, key, body, to, sources (',queued,running,'), clears ('attempt' or 'round', followed
        by additional keys to delete, separated by blanks; or ''), stamp, at (ISO 8601), optional ('1' or '')
        then telemetry (telemetry.lua), each: reducer, number of its arguments, arguments
  Returns {'ok', seq of the last event, status} or {reason, 0, status}

  Atomic, because fence, state machine, position and publication must see the same job. Concurrent cases: two workers
  that both believe they own it, a cancel and a completion, a write sent twice.
]]
-- `n` of the fencing write that ends an execution (see fencingWriter), 2^53 - 1
local ENDS_ROUND = 9007199254740991
local keys = {
  hash = KEYS[1], log = KEYS[2], channel = KEYS[3], kept = KEYS[4], lines = KEYS[5], series = KEYS[6], telemetry = KEYS[7]
}
local hash = keys.hash
local f = redis.call('HMGET', hash, 'generation', 'seq', 'durables', 'round', 'attempt', 'status', 'token', 'n', 'n_seq', 'store', 'forks')
if not f[1] then return { 'unknown_job', 0, '' } end
local job = {
  generation = f[1], seq = tonumber(f[2]), durables = tonumber(f[3]),
  round = tonumber(f[4]), attempt = tonumber(f[5]), status = f[6], store = f[10], forks = f[11],
  points = {}
}
local store, round, token, n = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local limits = {
  log = ARGV[5], active_ttl = ARGV[7], final_ttl = ARGV[8], lines = tonumber(ARGV[9]), line_bytes = tonumber(ARGV[10]),
  series = tonumber(ARGV[11]), buckets = tonumber(ARGV[12])
}

local events = {}
local telemetry_at = 14 + 9 * ARGV[13]
for i = 14, telemetry_at - 1, 9 do
  local clears, cleared_keys = string.match(ARGV[i + 5], '^(%S*) ?(.*)$')
  events[#events + 1] = {
    class = ARGV[i], key = ARGV[i + 1], body = ARGV[i + 2], to = ARGV[i + 3],
    sources = ARGV[i + 4], clears = clears, cleared_keys = cleared_keys, stamp = ARGV[i + 6], at = ARGV[i + 7], optional = ARGV[i + 8] == '1'
  }
end

-- The fence: round, then token, then n.
local opens = events[1] ~= nil and events[1].clears == 'round'
if round ~= job.round + (opens and 1 or 0) then return { 'stale_round', 0, job.status } end
if n > 0 then
  local last_token, last_n = tonumber(f[7] or 0), tonumber(f[8] or 0)
  if token < last_token then return { 'stale_writer', 0, job.status } end
  if token == last_token and n <= last_n then
    -- Processes that end the execution of a lost worker share one n. Only the first of them has ended it.
    if n == ENDS_ROUND then return { 'final', 0, job.status } end
    if n == last_n then return { 'ok', tonumber(f[9]), job.status } end
    return { 'stale_write', 0, job.status }
  end
end

-- The state machine is checked before anything is written.
local status, accepted, fresh = job.status, {}, 0
for _, event in ipairs(events) do
  local final = status == 'completed' or status == 'failed' or status == 'cancelled'
  local enters = event.to == '' or string.find(event.sources, ',' .. status .. ',', 1, true) ~= nil
  if enters and (event.clears == 'round') == final then
    accepted[#accepted + 1] = event
    if event.to ~= '' then status = event.to end
    -- A job that has reached the limit must still be able to end.
    if event.class ~= 'final' and redis.call('HEXISTS', hash, 'last:' .. event.key) == 0 then fresh = fresh + 1 end
  elseif not event.optional then
    return { final and 'final' or 'transition', 0, job.status }
  end
end
local has_telemetry = ARGV[telemetry_at] ~= nil
if has_telemetry and (job.status == 'completed' or job.status == 'failed' or job.status == 'cancelled') then
  return { 'final', 0, job.status }
end
if fresh > 0 and redis.call('HLEN', hash) + fresh > tonumber(ARGV[6]) then return { 'too_many_keys', 0, job.status } end

if has_telemetry and not has_room(keys, job, events, telemetry_at, limits) then return { 'too_many_series', 0, job.status } end

if keep_checkpoint then keep_checkpoint(limits.active_ttl) end
local seq = job.seq
local writes = #accepted > 0 or has_telemetry
if writes then take_over(hash, job, store) end
-- Before the events: what was reported belongs to the attempt that these events may end.
reduce(keys, job, telemetry_at, limits)
for _, event in ipairs(accepted) do seq = append(keys, job, event, limits) end
if writes then redis.call('HSET', hash, 'store', store .. ' ' .. seq) end
if n > 0 then
  -- Each write counts as a heartbeat.
  local time = redis.call('TIME')
  redis.call('HSET', hash, 'token', token, 'n', n, 'n_seq', seq, 'beat_at', time[1] * 1000 + math.floor(time[2] / 1000))
end
return { 'ok', seq, job.status }
