#!lua flags=allow-oom
--[[ Announces a process, or withdraws it, and removes what dead processes have left.

  KEYS  1 sorted set: processes by the end of their leases (ms)  2 hash: their entries (JSON) (one slot)
  ARGV  1 process  2 lease (ms); 0 withdraws it  3 entry
  Returns 1

  Atomic, because set and hash must name the same processes. Uses the clock of Redis. Runs also if Redis is full: that is
  when operators look, and an entry replaces one of about its size.
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local gone = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 100)
if ARGV[2] == '0' then table.insert(gone, ARGV[1]) end
if #gone > 0 then
  redis.call('ZREM', KEYS[1], unpack(gone))
  redis.call('HDEL', KEYS[2], unpack(gone))
end
if ARGV[2] ~= '0' then
  redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
  redis.call('PEXPIRE', KEYS[1], ARGV[2] * 10)
  redis.call('PEXPIRE', KEYS[2], ARGV[2] * 10)
end
return 1
