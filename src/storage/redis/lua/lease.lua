--[[ Takes, keeps or gives back a lease.

  KEYS  1 text: who holds it
  ARGV  1 holder  2 lease (ms); 0 gives it back
  Returns 1 where the holder has it now, else 0

  Atomic, because of two who find it free only one may take it, and nobody may give back what another one holds.
]]
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
