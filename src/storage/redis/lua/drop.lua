--[[ Deletes the checkpoint of an execution.

  KEYS  1 hash of the checkpoint
  ARGV  1 number of the execution (round)
  Returns 1; the value has no meaning

  Atomic, because the next execution may write its own checkpoint at the same time.
]]
if redis.call('HGET', KEYS[1], 'round') == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
