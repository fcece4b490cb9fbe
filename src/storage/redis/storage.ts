import { asked, storeFaultOf } from '../store-fault.js'
import type { CommandConnection } from './connection.js'
import type { RedisKeys } from './keys.js'

/** A job that runs is weighed again and again by the sweeper; an older figure is of one that is gone. */
const BELIEVED_MS = 3600_000

/** What a user's jobs take in Redis, and how long it takes until that is below a limit, as far as is known. */
export interface StoredBytes {
  readonly bytes: number
  readonly belowLimitInMs: number
}

/**
 * How much memory the jobs of each user take: the size of a job as it was when it was weighed last, until the job expires. So an answer costs no look at the
 * jobs, and a job that grows counts with what it was a few seconds ago.
 */
export class RedisStorage {
  readonly #commands: CommandConnection
  readonly #keys: RedisKeys

  constructor(commands: CommandConnection, keys: RedisKeys) {
    this.#commands = commands
    this.#keys = keys
  }

  /** Weighs a job and notes that for its owner. One that has expired is left alone, and so is every job where Redis denies the command for it. */
  async weigh(id: string): Promise<void> {
    const keys = [this.#keys.job(id), this.#keys.log(id), this.#keys.checkpoint(id)]
    const weight = await asked(this.#commands.runcastWeigh(...keys, BELIEVED_MS)).catch(unlessDenied)
    if (!weight) return
    const [owner, bytes, ms] = weight
    await asked(this.#commands.runcastStored(...this.#keys.stored(owner), Number.MAX_SAFE_INTEGER, id, bytes, ms))
  }

  async stored(owner: string, limit: number): Promise<StoredBytes> {
    const [bytes, belowLimitInMs] = await asked(this.#commands.runcastStored(...this.#keys.stored(owner), limit))
    return { bytes, belowLimitInMs }
  }
}

/** Jobs go on uncounted where the user of Redis lacks the right to MEMORY: the health of the store logs that once. */
function unlessDenied(error: unknown): null {
  if (storeFaultOf(error) !== 'store_denies') throw error
  return null
}
