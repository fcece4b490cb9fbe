--[[ Records a heartbeat of a running job. It is fenced like a write and writes no entry.

  KEYS  1 hash
  ARGV  1 round  2 token  3 '1' if the processor gave a sign of life  4 smallest n of a fencing write
  Returns {'ok', seq, status} or {reason, 0, status}

  Atomic, because only the writer that holds the job may report that it is alive.
  Uses the clock of Redis, as the reader that measures the silence does.
]]
local f = redis.call('HMGET', KEYS[1], 'round', 'status', 'token', 'seq', 'n')
local status = f[2]
if not status then return { 'unknown_job', 0, '' } end
if f[1] ~= ARGV[1] then return { 'stale_round', 0, status } end
local last = tonumber(f[3] or 0)
if tonumber(ARGV[2]) < last then return { 'stale_writer', 0, status } end
if tonumber(ARGV[2]) == last and tonumber(f[5] or 0) >= tonumber(ARGV[4]) then return { 'stale_write', 0, status } end
if status == 'completed' or status == 'failed' or status == 'cancelled' then return { 'final', 0, status } end
if ARGV[3] == '1' then
  local time = redis.call('TIME')
  redis.call('HSET', KEYS[1], 'beat_at', time[1] * 1000 + math.floor(time[2] / 1000))
end
return { 'ok', tonumber(f[4]), status }
