import { setTimeout as pause } from 'node:timers/promises'
import { type Job as BullJob, DelayedError, WaitingError, Worker } from 'bullmq'
import type { Redis } from 'ioredis'
import type { Kind } from '../core/kind.js'
import type { ArtifactService } from '../jobs/artifacts/artifact-service.js'
import type { AttemptTally } from '../jobs/attempt-tally.js'
import { type Finalizer, finalize } from '../jobs/finalize.js'
import { connectBull, connectControl } from '../queue/bullmq/connection.js'
import { type Held, renewLock } from '../queue/bullmq/locks.js'
import { type BullData, type BullReturn, bullJobId, type ControlMessage } from '../queue/bullmq/queue.js'
import { settle } from '../queue/bullmq/settle.js'
import type { Settled } from '../queue/queue.js'
import type { Broker, Heartbeats, WriteRejection } from '../storage/broker.js'
import type { QueueRef } from '../storage/fair-scheduler.js'
import { roundOf } from '../storage/redis/keys.js'
import type { StoreWatch } from '../storage/redis/store-health.js'
import { storeFaultOf } from '../storage/store-fault.js'
import type { TelemetryStore } from '../storage/telemetry.js'
import type { JobContext } from './job-context.js'
import type { LogLimits } from './log-buffer.js'
import type { AnyProcessor } from './processor.js'
import { type AttemptFailure, runJob } from './run-job.js'
import type { WorkTally } from './work-tally.js'

export interface WorkerOptions {
  readonly kind: Kind
  /** The queue to take jobs from. */
  readonly queue: string
  readonly processor: AnyProcessor
  readonly ports: Finalizer & {
    readonly broker: Broker & Heartbeats
    readonly telemetry: Pick<TelemetryStore, 'allSeries'>
    readonly attempts: AttemptTally
  }
  readonly tally: WorkTally
  readonly url: string
  /** BullMQ's prefix. */
  readonly prefix: string
  readonly controlChannel: string
  readonly concurrency: number
  readonly cancelGraceMs: number
  /** See `Runner`. */
  readonly maxEventBytes: number
  readonly log: LogLimits
  readonly artifacts: ArtifactService
  readonly metricIntervalMs: number
  /** How long jobs may continue when the worker stops, before they are returned to the queue. */
  readonly finishMs: number
  /** A worker whose lock is not renewed for this long counts as dead. */
  readonly lockDurationMs: number
  readonly onFault: (error: unknown) => void
  /** One of its connections was lost and is back. */
  readonly onReconnect?: () => void
  /**
   * What this process knows about the availability of Redis. `mayJudge`: whether a worker without a lock counts as
   * lost.
   */
  readonly store: StoreWatch & { readonly mayJudge: boolean }
  /** A job has another writer, or is over. */
  readonly onFenced: (id: string, reason: WriteRejection) => void
  /** An attempt at a job has failed. */
  readonly onFailed: (id: string, failure: AttemptFailure) => void
}

/** Pause before BullMQ retries an operation that a broken connection has interrupted. */
const RETRY_MS = 1000
/** Renewals of a lock within its lifetime. They use a Node timer, which runs by the monotonic clock. */
const RENEWALS_PER_LOCK = 4
/**
 * How long a stopping worker without jobs waits for a Redis that does not answer. The stalled check recovers what it
 * could not commit.
 */
const CLOSE_MS = 5000

/** Connects one queue to the runner: BullMQ and the control channel on one side, the runner on the other. */
export class KindWorker {
  readonly #options: WorkerOptions
  readonly #connection: Redis
  readonly #control: Redis
  readonly #worker: Worker<BullData, BullReturn>
  readonly #running = new Map<string, JobContext>()
  readonly #processing = new Set<Promise<BullReturn>>()
  readonly #settling = new Set<Promise<void>>()
  /** Jobs that this worker holds, from start to commit. */
  readonly #held = new Map<string, Held>()
  readonly #renewing: NodeJS.Timeout
  #checking: NodeJS.Timeout | undefined
  #stopping = false

  constructor(options: WorkerOptions) {
    this.#options = options
    const { queue, url, prefix, concurrency, lockDurationMs, onFault } = options
    this.#connection = connectBull(url, { ...options, maxRetries: null })
    this.#control = connectControl(url, options)
    this.#control.on('message', (_channel, message) => this.#onControl(message))
    this.#control.on('ready', () => {
      // A connection that breaks again subscribes at its next `ready`.
      this.#control.subscribe(options.controlChannel).catch((error: unknown) => {
        if (storeFaultOf(error) !== 'store_unreachable') onFault(error)
      })
    })
    this.#worker = new Worker<BullData, BullReturn>(queue, (job, token) => this.#track(this.#process(job, token ?? '')), {
      connection: this.#connection,
      prefix,
      concurrency,
      // A dead worker's lock expires after `lockDuration` at the latest. Each check marks active jobs and returns those
      // to the queue that it finds marked and without a lock. So the first check after the expiry does it: within 1.5 ×
      // `lockDuration`, 15 s by default. This class renews locks and runs the checks itself: BullMQ renews by a clock
      // that may be set, never takes an expired lock again, and checks right after an outage of Redis.
      lockDuration: lockDurationMs,
      skipLockRenewal: true,
      skipStalledCheck: true,
      stalledInterval: lockDurationMs / 2,
      // The hash counts lost workers; the runner ends a job that has lost too many.
      maxStalledCount: Number.MAX_SAFE_INTEGER,
      runRetryDelay: RETRY_MS,
      // For a fault of this worker. The runner delays its own retries itself.
      settings: { backoffStrategy: () => RETRY_MS },
      autorun: false,
    })
    this.#worker.on('error', onFault)
    // A failure in BullMQ's sense is a fault of this worker. `#commit` says how an attempt ends.
    this.#worker.on('failed', (job, error) => {
      onFault(error)
      if (job) this.#committed(job)
    })
    this.#renewing = setInterval(() => void this.#renew(), lockDurationMs / RENEWALS_PER_LOCK).unref()
  }

  get queue(): string {
    return this.#options.queue
  }

  /** Maximum concurrent jobs. */
  get slots(): number {
    return this.#options.concurrency
  }

  /** Jobs in progress. */
  get running(): number {
    return this.#running.size
  }

  /** Ids of the jobs in progress. */
  get jobs(): readonly string[] {
    return [...this.#running.keys()].map((name) => roundOf(name).id)
  }

  /** Reports of its jobs that wait to be written. */
  get buffered(): number {
    return [...this.#running.values()].reduce((sum, { buffered }) => sum + buffered, 0)
  }

  /** Whether it takes jobs and receives cancels now, as far as its connections show. */
  get isConsuming(): boolean {
    const isConnected = this.#connection.status === 'ready' && this.#control.status === 'ready'
    return isConnected && this.#worker.isRunning() && !this.#stopping
  }

  /** Resolves once it takes jobs and receives cancels. Waits for Redis until `close` is called. */
  async start(): Promise<void> {
    await this.#control.subscribe(this.#options.controlChannel)
    await this.#worker.waitUntilReady()
    if (this.#stopping) return
    const check = () => void this.#check()
    check()
    this.#checking = setInterval(check, this.#options.lockDurationMs / 2).unref()
    this.#worker.run().catch(this.#options.onFault)
  }

  /**
   * Takes no more jobs, lets running jobs continue for a while, returns unfinished ones to the queue, and ends. It also
   * ends without Redis: then the queue gives the jobs to another worker. Takes no longer than `finishMs`,
   * `cancelGraceMs` and what Redis needs.
   */
  async close(): Promise<void> {
    this.#stopping = true
    clearInterval(this.#checking)
    const closed = this.#worker.close()
    await this.#finish()
    for (const context of this.#running.values()) context.stop('stopping')
    // The stalled check of another worker recovers what cannot be committed by then.
    const graceMs = this.#processing.size > 0 ? this.#options.cancelGraceMs : 0
    const timer = setTimeout(() => this.#connection.disconnect(), graceMs + CLOSE_MS)
    await Promise.allSettled(this.#processing)
    await closed
    clearTimeout(timer)
    clearInterval(this.#renewing)
    await Promise.allSettled(this.#settling)
    this.#control.disconnect()
    this.#connection.disconnect()
  }

  /** Waits until all jobs have ended, or `finishMs` is over. */
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

  /** Runs a job that BullMQ hands out. */
  async #process(job: BullJob<BullData, BullReturn>, token: string): Promise<BullReturn> {
    const { kind, queue, processor, ports, tally, cancelGraceMs } = this.#options
    const { maxEventBytes, log, artifacts, metricIntervalMs, onFault } = this.#options
    const { id, round, input } = job.data
    const name = bullJobId(job.data)
    const task = { kind, id, round, token: job.data.base + job.attemptsStarted, input } // normalised at submit
    // Its previous attempt was lost and has not ended yet. BullMQ identifies a job's lock by the job's name alone, and
    // would drop the new lock with the old one.
    if (this.#running.has(name)) {
      await job.moveToDelayed(Date.now() + RETRY_MS, token)
      throw new DelayedError()
    }
    // The job is taken, so the next one may enter the queue. The sweeper repairs a failure here.
    this.#follow(ports.queue.started({ queue, id, round }))
    let own: JobContext | undefined
    const onStart = (context: JobContext) => {
      own = context
      this.#running.set(name, context)
      if (this.#stopping) context.stop('stopping')
    }
    const onFenced = (reason: WriteRejection) => {
      ports.attempts.fenced.add(reason)
      this.#options.onFenced(id, reason)
    }
    const onStarted = () => ports.attempts.started.add(queue)
    const onFailed = (failure: AttemptFailure) => this.#options.onFailed(id, failure)
    const limits = { cancelGraceMs, maxEventBytes, log, metricIntervalMs }
    const { broker, telemetry } = ports
    const runner = { broker, telemetry, artifacts, ...limits, onStart, onStarted, onFenced, onFailed, onFault, tally }
    const held: Held = { base: this.#worker.toKey(''), name, lock: token, start: job.attemptsStarted }
    this.#held.set(name, held)
    try {
      const settled = await runJob(task, processor, runner).finally(() => {
        // After a lost lock another attempt at the same execution may be registered here already.
        if (this.#running.get(name) === own) this.#running.delete(name)
      })
      if (await this.#commit(job, held, settled)) ports.attempts.settled(queue, settled.how)
    } finally {
      if (this.#held.get(name) === held) this.#held.delete(name)
    }
    this.#committed(job)
    // The job is where it belongs; BullMQ must do nothing more with it.
    throw new WaitingError()
  }

  /**
   * See `settle`. Retries for as long as Redis is unreachable or refuses: until the commit the result exists only here.
   */
  async #commit(job: BullJob<BullData, BullReturn>, held: Held, settled: Settled): Promise<boolean> {
    for (;;) {
      try {
        return await settle(this.#connection, job, held, settled, this.#options.lockDurationMs)
      } catch (error) {
        // This worker was closed meanwhile: the queue gives the job to another one.
        if (storeFaultOf(error) === null || this.#connection.status === 'end') throw error
      }
      await pause(RETRY_MS)
    }
  }

  /** Renews the locks of the jobs that this worker holds. */
  async #renew(): Promise<void> {
    const { lockDurationMs, onFault } = this.#options
    if (this.#connection.status !== 'ready') return
    const renew = async (held: Held) => {
      const isHeld = await renewLock(this.#connection, held, lockDurationMs)
      if (!isHeld && this.#held.get(held.name) === held) this.#running.get(held.name)?.stop('lost')
    }
    await Promise.all([...this.#held.values()].map((held) => renew(held).catch(onFault)))
  }

  /** Returns the jobs of dead workers to the queue. Not while live workers may have lost their locks too. */
  async #check(): Promise<void> {
    if (!this.#options.store.mayJudge || this.#connection.status !== 'ready') return
    await this.#worker.getBackend().moveStalledJobsToWait().catch(this.#options.onFault)
  }

  /**
   * After the queue's commit: publishes the final event if the execution has ended. The sweeper repairs a failure here.
   */
  #committed(job: BullJob<BullData, BullReturn>): void {
    const { queue, ports } = this.#options
    const ref: QueueRef = { queue, id: job.data.id, round: job.data.round }
    this.#follow(ports.queue.state(ref).then((state) => (state.at === 'ended' ? finalize(ports, ref, state.outcome, 'worker') : undefined)))
  }

  /** Background work; `close` waits for it. */
  #follow(act: Promise<void>): void {
    const work = act.catch(this.#options.onFault).finally(() => this.#settling.delete(work))
    this.#settling.add(work)
  }

  #onControl(message: string): void {
    this.#running.get(readControl(message)?.cancel ?? '')?.stop('cancelled')
  }
}

/** Null for a text that is no control message: another program has written to the channel. */
function readControl(message: string): ControlMessage | null {
  try {
    return JSON.parse(message) as ControlMessage | null
  } catch (error) {
    if (error instanceof SyntaxError) return null
    throw error
  }
}
