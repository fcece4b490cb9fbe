--[[ Forgets the checkpoint of a round.

  KEYS  1 hash of the checkpoint
  ARGV  1 round
  Returns nothing of use

  Atomic, because the next round may write its own at this moment.
]]
if redis.call('HGET', KEYS[1], 'round') == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
