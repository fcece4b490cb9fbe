import { Worker } from 'bullmq'
import type { Redis } from 'ioredis'
import { connectBull } from '../queue/bullmq/connection.js'
import type { BullData } from '../queue/bullmq/queue.js'
import type { Queue } from '../queue/queue.js'
import type { StoreWatch } from '../storage/redis/store-health.js'
import type { WorkTally } from './work-tally.js'

export interface StepWorkerOptions {
  readonly queue: string
  /** Does the next step of a job. Idempotent: several calls for one job may run at once. */
  readonly step: (id: string) => Promise<void>
  readonly tally: WorkTally
  readonly ports: { readonly queue: Pick<Queue, 'started'> }
  readonly url: string
  /** BullMQ's prefix. */
  readonly prefix: string
  /** A worker whose lock is not renewed for this long counts as dead, and its steps are repeated. */
  readonly lockDurationMs: number
  readonly onFault: (error: unknown) => void
  readonly onReconnect?: () => void
  /** What this process knows about the availability of Redis. */
  readonly store?: StoreWatch
}

/** Steps are short and spend most of their time waiting for Redis. */
const AT_ONCE = 4
const CLOSE_MS = 5000

/** Takes steps from one queue. It keeps no job: between two steps the state of a job is in Redis only. */
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
      // Its first step takes its slot in the queue: the next waiting job may follow.
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

  /** It keeps no job. */
  readonly jobs: readonly string[] = []
  /** It has no reports. */
  readonly buffered: number = 0
  /** Maximum concurrent steps. */
  readonly slots: number = AT_ONCE

  get queue(): string {
    return this.#options.queue
  }

  /** Steps in progress. */
  get running(): number {
    return this.#running
  }

  /** Whether it takes steps now, as far as its connection shows. */
  get isConsuming(): boolean {
    return this.#connection.status === 'ready' && this.#worker.isRunning() && !this.#stopping
  }

  /** Resolves once it takes steps. Waits for Redis until `close` is called. */
  async start(): Promise<void> {
    await this.#worker.waitUntilReady()
    if (this.#stopping) return
    this.#worker.run().catch(this.#options.onFault)
  }

  /** Completes the steps in progress. The queue gives unfinished ones to another worker. */
  async close(): Promise<void> {
    this.#stopping = true
    const timer = setTimeout(() => this.#connection.disconnect(), CLOSE_MS)
    await this.#worker.close()
    clearTimeout(timer)
    this.#connection.disconnect()
  }
}
