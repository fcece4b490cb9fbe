--[[ Acquires, renews or releases a lease.

  KEYS  1 string: the holder
  ARGV  1 holder  2 lease (ms); 0 releases it
  Returns 1 if the holder has the lease now, else 0

  Atomic, because only one of two callers that find the lease free may acquire it, and only the holder may release it.
]]
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
