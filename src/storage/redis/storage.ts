import { asked, storeFaultOf } from '../store-fault.js'
import type { CommandConnection } from './connection.js'
import type { RedisKeys } from './keys.js'

/**
 * How long a measured size is valid. The sweeper measures a running job regularly; an older size belongs to a job that
 * is gone.
 */
const BELIEVED_MS = 3600_000

/** Memory of a user's jobs in Redis, and the estimated time until it is below a limit. */
export interface StoredBytes {
  readonly bytes: number
  readonly belowLimitInMs: number
}

/**
 * Memory usage of the jobs of each user. A job counts with its last measured size until it expires. A read therefore
 * does not inspect the jobs, and a growing job counts with its size of a few seconds ago.
 */
export class RedisStorage {
  readonly #commands: CommandConnection
  readonly #keys: RedisKeys

  constructor(commands: CommandConnection, keys: RedisKeys) {
    this.#commands = commands
    this.#keys = keys
  }

  /**
   * Measures a job and records its size for its owner. An expired job is left unchanged, and so is every job if Redis
   * denies the command.
   */
  async weigh(id: string): Promise<void> {
    const weight = await asked(this.#commands.runcastWeigh(...this.#keys.all(id), BELIEVED_MS)).catch(unlessDenied)
    if (!weight) return
    const [owner, bytes, ms] = weight
    await asked(this.#commands.runcastStored(...this.#keys.stored(owner), Number.MAX_SAFE_INTEGER, id, bytes, ms))
  }

  async stored(owner: string, limit: number): Promise<StoredBytes> {
    const [bytes, belowLimitInMs] = await asked(this.#commands.runcastStored(...this.#keys.stored(owner), limit))
    return { bytes, belowLimitInMs }
  }
}

/** Jobs are not counted if the Redis user may not run MEMORY. The store health logs this once. */
function unlessDenied(error: unknown): null {
  if (storeFaultOf(error) !== 'store_denies') throw error
  return null
}
