import { Job as BullJob, Queue as BullMq, type QueueOptions, type WorkerOptions } from 'bullmq'
import type { Redis } from 'ioredis'
import { roundOf } from '../../storage/redis/keys.js'
import type { StoreWatch } from '../../storage/redis/store-health.js'
import { asked } from '../../storage/store-fault.js'
import {
  CHECKS_PER_LOCK,
  type Claim,
  type ClaimedRound,
  type ClaimRecord,
  type Claims,
  type HeldClaim,
  type PostCounter,
} from '../claims.js'
import type { Settled } from '../queue.js'
import { connectBull } from './connection.js'
import { type Held, renewLock } from './locks.js'
import { type BullData, type BullReturn, bullJobId } from './queue.js'
import { countPost, readRecord, writeRecord } from './records.js'
import { settle } from './settle.js'

export interface BullClaimsOptions {
  readonly url: string
  /** BullMQ's prefix. */
  readonly prefix: string
  /** A claim that is not renewed for this time is lost. */
  readonly lockMs: number
  /** How long the last answer of a claim is kept after its lock has expired. */
  readonly keepMs: number
  readonly onFault: (error: unknown) => void
  readonly onReconnect?: () => void
  /** Health of Redis, as this process sees it. */
  readonly store?: StoreWatch
  /**
   * Whether a worker without a lock can be considered lost. It cannot while Redis is unreachable or refuses renewals,
   * or shortly after.
   */
  readonly mayJudge?: () => boolean
}

/** The beginning of the locks of claims. Workers of this package lock with a number. */
const LOCK = 'claim:'

type RoundQueue = BullMq<BullData, BullReturn>
type RoundJob = BullJob<BullData, BullReturn>

/**
 * Claims on BullMQ's queues. A BullMQ worker manages its locks itself; here each post of the external worker does it.
 * The first claim opens the connection.
 */
export class BullClaims implements Claims, PostCounter {
  readonly #options: BullClaimsOptions
  readonly #queues = new Map<string, RoundQueue>()
  #connection: Redis | undefined

  constructor(options: BullClaimsOptions) {
    this.#options = options
  }

  async claim(queue: string): Promise<ClaimedRound | null> {
    const lock = `${LOCK}${crypto.randomUUID()}`
    const from = this.#queue(queue)
    const [json, name] = await asked(from.getBackend().moveToActive(lock))
    if (!json) return null
    const job: RoundJob = BullJob.fromJSON(from, json, name)
    const { id, round, input, base } = job.data
    return { queue, id, round, token: base + job.attemptsStarted, input, lock }
  }

  async renew(claim: Claim, lock: string): Promise<boolean> {
    const job = await this.#find(claim)
    return job !== null && renewLock(this.#redis(), this.#held(claim, lock, job), this.#options.lockMs)
  }

  async settle(claim: Claim, lock: string, settled: Settled): Promise<boolean> {
    const job = await this.#find(claim)
    return job !== null && asked(settle(this.#redis(), job, this.#held(claim, lock, job), settled, this.#options.lockMs))
  }

  async read(claim: Claim): Promise<ClaimRecord | null> {
    return asked(readRecord(this.#redis(), this.#key(claim)))
  }

  async write(claim: Claim, record: ClaimRecord): Promise<boolean> {
    const { lockMs, keepMs } = this.#options
    return asked(writeRecord(this.#redis(), this.#key(claim), record, lockMs + keepMs))
  }

  count(claim: Claim): Promise<number> {
    return asked(countPost(this.#redis(), `${this.#key(claim)}:posts`))
  }

  async recover(queue: string): Promise<void> {
    if (this.#options.mayJudge?.() === false) return
    await asked(this.#queue(queue).getBackend().moveStalledJobsToWait())
  }

  async held(queue: string, limit: number): Promise<HeldClaim[]> {
    const from = this.#queue(queue)
    const redis = this.#redis()
    const names = await asked(redis.lrange(from.toKey('active'), 0, limit - 1))
    if (names.length === 0) return []
    const locks = await asked(redis.mget(names.map((name) => from.toKey(`${name}:lock`))))
    const claimed = names.filter((_, i) => locks[i]?.startsWith(LOCK))
    const left = await asked(Promise.all(claimed.map((name) => redis.pttl(from.toKey(`${name}:lock`)))))
    const held = claimed.map((name, i) => ({ queue, ...roundOf(name), leftMs: left[i] ?? 0 }))
    return held.filter(({ leftMs }) => leftMs > 0)
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#queues.values()].map((queue) => queue.close()))
    this.#connection?.disconnect()
  }

  /** The execution as this claim started it; null if it was started again since. */
  async #find(claim: Claim): Promise<RoundJob | null> {
    const job = await asked(this.#queue(claim.queue).getJob(bullJobId(claim)))
    return job && job.data.base + job.attemptsStarted === claim.token ? job : null
  }

  #held(claim: Claim, lock: string, job: RoundJob): Held {
    return { base: this.#queue(claim.queue).toKey(''), name: bullJobId(claim), lock, start: job.attemptsStarted }
  }

  /** Key in the slot of the queue. Each claim has its own key, so a lost claim never affects the next one. */
  #key(claim: Claim): string {
    return this.#queue(claim.queue).toKey(`${bullJobId(claim)}:claim:${claim.token}`)
  }

  #redis(): Redis {
    this.#connection ??= connectBull(this.#options.url, { ...this.#options, maxRetries: 2 })
    return this.#connection
  }

  #queue(name: string): RoundQueue {
    const known = this.#queues.get(name)
    if (known) return known
    const { prefix, lockMs, onFault } = this.#options
    // Taking an execution and recovering lost ones use options of a BullMQ worker. A real worker object would count as
    // a connected worker.
    const options: QueueOptions & Pick<WorkerOptions, 'lockDuration' | 'stalledInterval' | 'maxStalledCount'> = {
      connection: this.#redis(),
      prefix,
      // `BullQueue` owns the settings of the event stream.
      skipMetasUpdate: true,
      lockDuration: lockMs,
      stalledInterval: lockMs / CHECKS_PER_LOCK,
      // The hash of the job counts lost workers.
      maxStalledCount: Number.MAX_SAFE_INTEGER,
    }
    const queue: RoundQueue = new BullMq(name, options)
    queue.on('error', onFault)
    this.#queues.set(name, queue)
    return queue
  }
}
