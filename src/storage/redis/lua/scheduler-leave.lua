--[[ Removes an execution in any state.

  KEYS, ARGV 1  as in scheduler.lua
  ARGV  2 execution
  Returns its queue, or false if the execution is not here

  Atomic, because an execution that is admitted at the same time must not occupy a slot forever.
]]
local round = ARGV[2]
local entry = redis.call('HGET', base .. 'waiting', round) or redis.call('HGET', base .. 'admitted', round)
if not entry then return false end
local queue, way, owner = string.match(entry, '^(%S+) (%a) (.*)$')
redis.call('HDEL', base .. 'waiting', round)
redis.call('HDEL', base .. 'admitted', round)
redis.call('ZREM', waiting_of(queue, owner, way), round)
redis.call('SREM', slots_of(owner), round)
drop_delayed(round, owner)
redis.call('ZREM', base .. 'window:' .. queue, round)
update_rings(owner)
return queue
