import { Worker } from 'bullmq'
import type { Redis } from 'ioredis'
import { connectBull } from '../queue/bullmq/connection.js'
import type { BullData } from '../queue/bullmq/queue.js'
import type { Queue } from '../queue/queue.js'
import type { StoreWatch } from '../storage/redis/store-health.js'
import type { WorkTally } from './work-tally.js'

export interface StepWorkerOptions {
  readonly queue: string
  /** Does the next step of a job. Idempotent: it may be called for one job by several at once. */
  readonly step: (id: string) => Promise<void>
  readonly tally: WorkTally
  readonly ports: { readonly queue: Pick<Queue, 'started'> }
  readonly url: string
  /** BullMQ's prefix. */
  readonly prefix: string
  /** A worker whose lock is not renewed for so long counts as dead: its steps are done again. */
  readonly lockDurationMs: number
  readonly onFault: (error: unknown) => void
  readonly onReconnect?: () => void
  /** What this process knows of Redis. */
  readonly store?: StoreWatch
}

/** Steps are short, and wait for Redis most of the time. */
const AT_ONCE = 4
const CLOSE_MS = 5000

/** A worker process's hold on a queue of steps. It holds no job: between two steps a job is in Redis alone. */
export class StepWorker {
  readonly #options: StepWorkerOptions
  readonly #connection: Redis
  readonly #worker: Worker<BullData>
  #stopping = false
  #running = 0

  constructor(options: StepWorkerOptions) {
    this.#options = options
    const { queue, step, ports, tally, url, prefix, lockDurationMs, onFault } = options
    this.#connection = connectBull(url, { ...options, maxRetries: null })
    const take = async ({ data: { id, round } }: { data: BullData }) => {
      // Its first step is its place in the queue: whoever waits behind it may follow.
      await ports.queue.started({ queue, id, round })
      await step(id)
      tally.steps += 1
    }
    const count = async (job: { data: BullData }) => {
      this.#running += 1
      await take(job).finally(() => {
        this.#running -= 1
      })
    }
    this.#worker = new Worker<BullData>(queue, count, {
      connection: this.#connection,
      prefix,
      concurrency: AT_ONCE,
      lockDuration: lockDurationMs,
      stalledInterval: lockDurationMs / 2,
      maxStalledCount: Number.MAX_SAFE_INTEGER,
      autorun: false,
    })
    this.#worker.on('error', onFault)
    this.#worker.on('failed', (_job, error) => onFault(error))
  }

  /** It holds no reports. */
  readonly buffered: number = 0
  /** Steps that it does at a time at most. */
  readonly slots: number = AT_ONCE

  get queue(): string {
    return this.#options.queue
  }

  /** Steps that it does now. */
  get running(): number {
    return this.#running
  }

  /** Whether it takes steps now, as far as its connection tells. */
  get isTaking(): boolean {
    return this.#connection.status === 'ready' && this.#worker.isRunning() && !this.#stopping
  }

  /** Resolves once it takes steps. */
  async start(): Promise<void> {
    await this.#worker.waitUntilReady()
    this.#worker.run().catch(this.#options.onFault)
  }

  /** Ends the steps that it has begun. What it could not, the queue gives to another one. */
  async close(): Promise<void> {
    this.#stopping = true
    const timer = setTimeout(() => this.#connection.disconnect(), CLOSE_MS)
    await this.#worker.close()
    clearTimeout(timer)
    this.#connection.disconnect()
  }
}
