import { type Job as BullJob, DelayedError, UnrecoverableError, WaitingError, Worker } from 'bullmq'
import type { Redis } from 'ioredis'
import type { Broker, Pulse, WriteRefusal } from '../src/broker/broker.js'
import type { QueueRef } from '../src/broker/gate.js'
import { storeFaultOf } from '../src/broker/store-fault.js'
import type { StoreWatch } from '../src/broker/store-health.js'
import type { AttemptTally } from '../src/jobs/attempt-tally.js'
import { connectBull, connectControl } from '../src/jobs/bull-connection.js'
import { BACKOFF, type BullData, type BullReturn, bullJobId, type ControlMessage } from '../src/jobs/bull-queue.js'
import { type Finalizer, finalize } from '../src/jobs/finalize.js'
import type { Settled } from '../src/jobs/queue.js'
import type { ComputedKindName, InputOf } from '../src/protocol/kinds.js'
import type { JobContext } from './job-context.js'
import type { Processor } from './processor.js'
import { type AttemptFailure, runJob } from './run-job.js'
import type { WorkTally } from './work-tally.js'

export interface WorkerOptions<K extends ComputedKindName> {
  readonly kind: K
  /** The queue that it takes from. */
  readonly queue: string
  readonly processor: Processor<K>
  readonly parts: Finalizer & { readonly broker: Broker & Pulse; readonly attempts: AttemptTally }
  readonly tally: WorkTally
  readonly url: string
  /** BullMQ's prefix. */
  readonly prefix: string
  readonly controlChannel: string
  readonly concurrency: number
  readonly cancelGraceMs: number
  /** How long jobs may go on when the worker stops, before they are handed back. */
  readonly finishMs: number
  /** A worker whose lock is not renewed for so long counts as dead. */
  readonly lockDurationMs: number
  readonly onFault: (error: unknown) => void
  /** One of its connections was lost and stands again. */
  readonly onReconnect?: () => void
  /** What this process knows of Redis. */
  readonly store?: StoreWatch
  /** A job was found to have another writer, or to be over. */
  readonly onFenced: (id: string, reason: WriteRefusal) => void
  /** An attempt at a job has failed. */
  readonly onFailed: (id: string, failure: AttemptFailure) => void
}

/** Pause before BullMQ tries again what a broken connection has cut off. */
const RETRY_MS = 1000
/** How long a stopping worker without jobs waits for a Redis that does not answer. What it could not tell the queue, the stalled check finds. */
const CLOSE_MS = 5000

/** A failure that is tried again after a time that the runner has announced. */
class Again extends Error {
  readonly delayMs: number

  constructor(cause: Error, delayMs: number) {
    super(cause.message, { cause })
    this.delayMs = delayMs
  }
}

/** A worker process's hold on one queue: BullMQ and the control channel on one side, the runner on the other. */
export class KindWorker<K extends ComputedKindName> {
  readonly #options: WorkerOptions<K>
  readonly #connection: Redis
  readonly #control: Redis
  readonly #worker: Worker<BullData, BullReturn>
  readonly #running = new Map<string, JobContext>()
  readonly #processing = new Set<Promise<BullReturn>>()
  readonly #settling = new Set<Promise<void>>()
  /** How attempts have ended that the queue has not committed yet. */
  readonly #ways = new WeakMap<object, Settled['how']>()
  #stopping = false

  constructor(options: WorkerOptions<K>) {
    this.#options = options
    const { queue, url, prefix, concurrency, lockDurationMs, onFault } = options
    this.#connection = connectBull(url, { ...options, maxRetries: null })
    this.#control = connectControl(url, options)
    this.#control.on('message', (_channel, message) => this.#obey(message))
    this.#control.on('ready', () => {
      // A connection that breaks again subscribes with its next `ready`.
      this.#control.subscribe(options.controlChannel).catch((error: unknown) => {
        if (storeFaultOf(error) !== 'store_unreachable') onFault(error)
      })
    })
    this.#worker = new Worker<BullData, BullReturn>(queue, (job, token) => this.#track(this.#process(job, token ?? '')), {
      connection: this.#connection,
      prefix,
      concurrency,
      // A dead worker's lock is gone after `lockDuration` at the latest. Each check marks what is active and gives back what it finds marked and without a lock,
      // so the first check after that does it: within one and a half times `lockDuration`, 15 s by default. A lock is renewed when it is between a quarter and a
      // half of that old (`lockRenewTime`, its default), so an event loop may stand still for half of it without losing its jobs.
      lockDuration: lockDurationMs,
      stalledInterval: lockDurationMs / 2,
      // The hash counts lost workers; the runner ends what has lost too many.
      maxStalledCount: Number.MAX_SAFE_INTEGER,
      settings: { backoffStrategy: (_attempts, type, error) => (type === BACKOFF && error instanceof Again ? error.delayMs : 1000) },
      runRetryDelay: RETRY_MS,
      autorun: false,
    })
    this.#worker.on('error', onFault)
    this.#worker.on('completed', (job) => this.#committed(job))
    this.#worker.on('failed', (job) => job && this.#committed(job))
    this.#worker.on('lockRenewalFailed', (ids: string[]) => {
      for (const id of ids) this.#running.get(id)?.stop('lost')
    })
  }

  get queue(): string {
    return this.#options.queue
  }

  /** Jobs that it computes at a time at most. */
  get slots(): number {
    return this.#options.concurrency
  }

  /** Jobs that it computes now. */
  get running(): number {
    return this.#running.size
  }

  /** Reports of its jobs that wait to be written. */
  get buffered(): number {
    return [...this.#running.values()].reduce((sum, { buffered }) => sum + buffered, 0)
  }

  /** Whether it takes jobs now and hears cancels, as far as its connections tell. */
  get isTaking(): boolean {
    const isConnected = this.#connection.status === 'ready' && this.#control.status === 'ready'
    return isConnected && this.#worker.isRunning() && !this.#stopping
  }

  /** Resolves once it takes jobs and hears cancels. */
  async start(): Promise<void> {
    await this.#control.subscribe(this.#options.controlChannel)
    await this.#worker.waitUntilReady()
    this.#worker.run().catch(this.#options.onFault)
  }

  /**
   * Takes no more jobs, lets the running ones go on for a while, hands back those that have not ended, and ends; without Redis as well, since then the queue
   * gives them to another worker. Takes no longer than `finishMs`, `cancelGraceMs` and what Redis needs.
   */
  async close(): Promise<void> {
    this.#stopping = true
    const closed = this.#worker.close()
    await this.#finish()
    for (const context of this.#running.values()) context.stop('stopping')
    await Promise.allSettled(this.#processing)
    const timer = setTimeout(() => this.#connection.disconnect(), CLOSE_MS)
    await closed
    clearTimeout(timer)
    await Promise.allSettled(this.#settling)
    this.#control.disconnect()
    this.#connection.disconnect()
  }

  /** Until all jobs have ended, or their time to do so has. */
  async #finish(): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#options.finishMs)
    })
    await Promise.race([late, Promise.allSettled(this.#processing)])
    clearTimeout(timer)
  }

  #track(processing: Promise<BullReturn>): Promise<BullReturn> {
    this.#processing.add(processing)
    const forget = () => this.#processing.delete(processing)
    processing.then(forget, forget)
    return processing
  }

  /** Runs what BullMQ hands out. */
  async #process(job: BullJob<BullData, BullReturn>, token: string): Promise<BullReturn> {
    const { kind, queue, processor, parts, tally, cancelGraceMs } = this.#options
    const { id, round, input } = job.data
    const name = bullJobId(job.data)
    const task = { kind, id, round, token: job.data.base + job.attemptsStarted, input: input as InputOf<K> } // normalised at submit
    // Its try before this one was lost and has not ended yet: BullMQ knows a job's lock by its name alone, and would drop the new one with the old.
    if (this.#running.has(name)) {
      await job.moveToDelayed(Date.now() + RETRY_MS, token)
      throw new DelayedError()
    }
    // Taken: the next job may come into the queue. What fails here the sweeper does.
    this.#follow(parts.queue.started({ queue, id, round }))
    let own: JobContext | undefined
    const onStart = (context: JobContext) => {
      own = context
      this.#running.set(name, context)
      if (this.#stopping) context.stop('stopping')
    }
    const onFenced = (reason: WriteRefusal) => {
      parts.attempts.fenced.add(reason)
      this.#options.onFenced(id, reason)
    }
    const onStarted = () => parts.attempts.started.add(queue)
    const onFailed = (failure: AttemptFailure) => this.#options.onFailed(id, failure)
    const runner = { broker: parts.broker, cancelGraceMs, onStart, onStarted, onFenced, onFailed, tally }
    const settled = await runJob(task, processor, runner).finally(() => {
      // After a lost lock another try of the same round may stand here already.
      if (this.#running.get(name) === own) this.#running.delete(name)
    })
    if (settled.how === 'handed back') {
      await job.moveToWait(token)
      parts.attempts.settled(queue, settled.how)
      throw new WaitingError()
    }
    this.#ways.set(job, settled.how)
    return commit(job, settled)
  }

  /** After the queue's commit: the final event, if this was the end of the round. What fails here is left to the sweeper. */
  #committed(job: BullJob<BullData, BullReturn>): void {
    const { queue, parts } = this.#options
    const how = this.#ways.get(job)
    // The queue tells of a job that another worker has lost as well.
    if (how !== undefined) parts.attempts.settled(queue, how)
    const ref: QueueRef = { queue, id: job.data.id, round: job.data.round }
    this.#follow(parts.queue.state(ref).then((state) => (state.at === 'ended' ? finalize(parts, ref, state.outcome, 'worker') : undefined)))
  }

  /** What goes on beside the jobs; `close` waits for it. */
  #follow(act: Promise<void>): void {
    const work = act.catch(this.#options.onFault).finally(() => this.#settling.delete(work))
    this.#settling.add(work)
  }

  #obey(message: string): void {
    this.#running.get(readControl(message)?.cancel ?? '')?.stop('cancelled')
  }
}

/** What comes out of the runner, in BullMQ's words. */
async function commit(job: BullJob<BullData, BullReturn>, settled: Exclude<Settled, { how: 'handed back' }>): Promise<BullReturn> {
  switch (settled.how) {
    case 'done':
      return { result: settled.result, compute_time_s: settled.compute_time_s }
    case 'ended':
      // Before the job fails, so that the outcome outlives this process.
      await job.updateData({ ...job.data, outcome: settled.outcome })
      throw new UnrecoverableError(settled.outcome.status === 'failed' ? settled.outcome.error : 'cancelled')
    case 'refused':
      throw new UnrecoverableError('not to be run')
    case 'retry':
      throw new Again(settled.error, settled.delayMs)
  }
}

/** Null for what is no control message: somebody else has written to the channel. */
function readControl(message: string): ControlMessage | null {
  try {
    return JSON.parse(message) as ControlMessage | null
  } catch (error) {
    if (error instanceof SyntaxError) return null
    throw error
  }
}
