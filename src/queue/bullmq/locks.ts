import type { Redis } from 'ioredis'
import { asked } from '../../storage/store-fault.js'

/**
 * KEYS  1 lock of a round  2 rounds that are marked as stalled (set)  3 the round (hash)  4 active rounds (list)
 * ARGV  1 who holds the lock  2 its life (ms)  3 name of the round  4 which start of the round it is
 * Returns 1 where the lock is held for another life, else 0
 *
 * A lock that has lapsed is taken again as long as nobody else has the round: while Redis was away or refused writes it could not be renewed, and its worker
 * has lost nothing. Atomic, because the stalled check and another worker look at the same keys.
 */
const HOLD = `
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
if not holder then
  if redis.call('HGET', KEYS[3], 'ats') ~= ARGV[4] then return 0 end
  if not redis.call('LPOS', KEYS[4], ARGV[3]) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('SREM', KEYS[2], ARGV[3])
return 1`

/** A round in the hands of a worker. */
export interface Held {
  /** BullMQ's key of the queue, ending in a colon. */
  readonly base: string
  /** Name of the round in BullMQ. */
  readonly name: string
  /** Proves to the queue who has taken it. */
  readonly lock: string
  /** How often the round was started, with this time. */
  readonly start: number
}

/** Renews the lock of a round, or takes it again; false where the round is another's, or not to be worked on any more. */
export async function holdLock(redis: Redis, { base, name, lock, start }: Held, lockMs: number): Promise<boolean> {
  const keys = [`${base}${name}:lock`, `${base}stalled`, `${base}${name}`, `${base}active`]
  return (await asked(redis.eval(HOLD, keys.length, ...keys, lock, lockMs, name, start))) === 1
}
