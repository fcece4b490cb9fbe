import type { Redis } from 'ioredis'
import { asked } from '../../storage/store-fault.js'

/**
 * KEYS  1 lock of the execution  2 executions marked as stalled (set)  3 the execution (hash)
 *       4 active executions (list)
 * ARGV  1 holder of the lock  2 lifetime of the lock (ms)  3 name of the execution  4 number of the start
 * Returns 1 if the lock is held for another lifetime, else 0
 *
 * An expired lock is set again as long as nobody else has the execution: it could not be renewed while Redis was
 * unreachable or rejected writes, and its worker has lost nothing. Atomic, because the stalled check and other workers
 * use the same keys.
 */
const RENEW = `
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
if not holder then
  if redis.call('HGET', KEYS[3], 'ats') ~= ARGV[4] then return 0 end
  if not redis.call('LPOS', KEYS[4], ARGV[3]) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('SREM', KEYS[2], ARGV[3])
return 1`

/** An execution held by a worker. */
export interface Held {
  /** BullMQ's key of the queue, ending in a colon. */
  readonly base: string
  /** Name of the execution in BullMQ. */
  readonly name: string
  /** Proves to the queue which worker has the execution. */
  readonly lock: string
  /** How often the execution was started, including this time. */
  readonly start: number
}

/**
 * Renews the lock of an execution, or sets an expired one again. False if another worker has the execution, or it must
 * not be run any more.
 */
export async function renewLock(redis: Redis, { base, name, lock, start }: Held, lockMs: number): Promise<boolean> {
  const keys = [`${base}${name}:lock`, `${base}stalled`, `${base}${name}`, `${base}active`]
  return (await asked(redis.eval(RENEW, keys.length, ...keys, lock, lockMs, name, start))) === 1
}
