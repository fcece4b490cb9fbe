--[[ Proves that this Redis accepts writes of this node: writes one key, which expires.

  KEYS  1 string: a scratch key of the node
  ARGV  1 TTL of the key (ms)
  Returns the time of this Redis (ms)
]]
redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])
local time = redis.call('TIME')
return time[1] * 1000 + math.floor(time[2] / 1000)
