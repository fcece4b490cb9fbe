import { setTimeout as pause } from 'node:timers/promises'
import { type Job as BullJob, DelayedError, WaitingError, Worker } from 'bullmq'
import type { Redis } from 'ioredis'
import type { Kind } from '../core/kind.js'
import type { AttemptTally } from '../jobs/attempt-tally.js'
import { type Finalizer, finalize } from '../jobs/finalize.js'
import { connectBull, connectControl } from '../queue/bullmq/connection.js'
import { type Held, holdLock } from '../queue/bullmq/locks.js'
import { type BullData, type BullReturn, bullJobId, type ControlMessage } from '../queue/bullmq/queue.js'
import { settle } from '../queue/bullmq/settle.js'
import type { Settled } from '../queue/queue.js'
import type { Broker, Heartbeats, WriteRefusal } from '../storage/broker.js'
import type { QueueRef } from '../storage/fair-scheduler.js'
import type { StoreWatch } from '../storage/redis/store-health.js'
import { storeFaultOf } from '../storage/store-fault.js'
import type { JobContext } from './job-context.js'
import type { AnyProcessor } from './processor.js'
import { type AttemptFailure, runJob } from './run-job.js'
import type { WorkTally } from './work-tally.js'

export interface WorkerOptions {
  readonly kind: Kind
  /** The queue that it takes from. */
  readonly queue: string
  readonly processor: AnyProcessor
  readonly ports: Finalizer & { readonly broker: Broker & Heartbeats; readonly attempts: AttemptTally }
  readonly tally: WorkTally
  readonly url: string
  /** BullMQ's prefix. */
  readonly prefix: string
  readonly controlChannel: string
  readonly concurrency: number
  readonly cancelGraceMs: number
  /** See `Runner`. */
  readonly maxEventBytes: number
  /** How long jobs may go on when the worker stops, before they are handed back. */
  readonly finishMs: number
  /** A worker whose lock is not renewed for so long counts as dead. */
  readonly lockDurationMs: number
  readonly onFault: (error: unknown) => void
  /** One of its connections was lost and stands again. */
  readonly onReconnect?: () => void
  /** What this process knows of Redis; `mayJudge`: whether a worker without a lock is lost. */
  readonly store: StoreWatch & { readonly mayJudge: boolean }
  /** A job was found to have another writer, or to be over. */
  readonly onFenced: (id: string, reason: WriteRefusal) => void
  /** An attempt at a job has failed. */
  readonly onFailed: (id: string, failure: AttemptFailure) => void
}

/** Pause before BullMQ tries again what a broken connection has cut off. */
const RETRY_MS = 1000
/** How often a lock is renewed in its life. A timer of Node, which runs by a clock that is never set. */
const RENEWALS_PER_LOCK = 4
/** How long a stopping worker without jobs waits for a Redis that does not answer. What it could not tell the queue, the stalled check finds. */
const CLOSE_MS = 5000

/** A worker process's hold on one queue: BullMQ and the control channel on one side, the runner on the other. */
export class KindWorker {
  readonly #options: WorkerOptions
  readonly #connection: Redis
  readonly #control: Redis
  readonly #worker: Worker<BullData, BullReturn>
  readonly #running = new Map<string, JobContext>()
  readonly #processing = new Set<Promise<BullReturn>>()
  readonly #settling = new Set<Promise<void>>()
  /** What this worker holds, from its start to its commit. */
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
      // so the first check after that does it: within one and a half times `lockDuration`, 15 s by default. Locks and checks are this class's own: BullMQ
      // renews by a clock that may be set, never takes a lapsed lock again, and checks right after Redis was away.
      lockDuration: lockDurationMs,
      skipLockRenewal: true,
      skipStalledCheck: true,
      stalledInterval: lockDurationMs / 2,
      // The hash counts lost workers; the runner ends what has lost too many.
      maxStalledCount: Number.MAX_SAFE_INTEGER,
      runRetryDelay: RETRY_MS,
      // Of a fault of this worker; what the runner wants tried again it puts off itself.
      settings: { backoffStrategy: () => RETRY_MS },
      autorun: false,
    })
    this.#worker.on('error', onFault)
    // What BullMQ calls a failure is a fault of this worker: how an attempt ends, `#commit` says.
    this.#worker.on('failed', (job, error) => {
      onFault(error)
      if (job) this.#committed(job)
    })
    this.#renewing = setInterval(() => void this.#renew(), lockDurationMs / RENEWALS_PER_LOCK).unref()
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
    const check = () => void this.#check()
    check()
    this.#checking = setInterval(check, this.#options.lockDurationMs / 2).unref()
    this.#worker.run().catch(this.#options.onFault)
  }

  /**
   * Takes no more jobs, lets the running ones go on for a while, hands back those that have not ended, and ends; without Redis as well, since then the queue
   * gives them to another worker. Takes no longer than `finishMs`, `cancelGraceMs` and what Redis needs.
   */
  async close(): Promise<void> {
    this.#stopping = true
    clearInterval(this.#checking)
    const closed = this.#worker.close()
    await this.#finish()
    for (const context of this.#running.values()) context.stop('stopping')
    // What cannot be committed by then, the stalled check of another worker finds.
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
    const { kind, queue, processor, ports, tally, cancelGraceMs, maxEventBytes } = this.#options
    const { id, round, input } = job.data
    const name = bullJobId(job.data)
    const task = { kind, id, round, token: job.data.base + job.attemptsStarted, input } // normalised at submit
    // Its try before this one was lost and has not ended yet: BullMQ knows a job's lock by its name alone, and would drop the new one with the old.
    if (this.#running.has(name)) {
      await job.moveToDelayed(Date.now() + RETRY_MS, token)
      throw new DelayedError()
    }
    // Taken: the next job may come into the queue. What fails here the sweeper does.
    this.#follow(ports.queue.started({ queue, id, round }))
    let own: JobContext | undefined
    const onStart = (context: JobContext) => {
      own = context
      this.#running.set(name, context)
      if (this.#stopping) context.stop('stopping')
    }
    const onFenced = (reason: WriteRefusal) => {
      ports.attempts.fenced.add(reason)
      this.#options.onFenced(id, reason)
    }
    const onStarted = () => ports.attempts.started.add(queue)
    const onFailed = (failure: AttemptFailure) => this.#options.onFailed(id, failure)
    const runner = { broker: ports.broker, cancelGraceMs, maxEventBytes, onStart, onStarted, onFenced, onFailed, tally }
    const held: Held = { base: this.#worker.toKey(''), name, lock: token, start: job.attemptsStarted }
    this.#held.set(name, held)
    try {
      const settled = await runJob(task, processor, runner).finally(() => {
        // After a lost lock another try of the same round may stand here already.
        if (this.#running.get(name) === own) this.#running.delete(name)
      })
      if (await this.#commit(job, held, settled)) ports.attempts.settled(queue, settled.how)
    } finally {
      if (this.#held.get(name) === held) this.#held.delete(name)
    }
    this.#committed(job)
    // It is where it belongs: BullMQ has nothing to do with it any more.
    throw new WaitingError()
  }

  /** See `settle`; however long Redis is away or refuses: until then the result is here alone. */
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

  /** Keeps the locks of what this worker holds. */
  async #renew(): Promise<void> {
    const { lockDurationMs, onFault } = this.#options
    if (this.#connection.status !== 'ready') return
    const renew = async (held: Held) => {
      const isHeld = await holdLock(this.#connection, held, lockDurationMs)
      if (!isHeld && this.#held.get(held.name) === held) this.#running.get(held.name)?.stop('lost')
    }
    await Promise.all([...this.#held.values()].map((held) => renew(held).catch(onFault)))
  }

  /** Gives back what dead workers held. Not while those that live may lack a lock too. */
  async #check(): Promise<void> {
    if (!this.#options.store.mayJudge || this.#connection.status !== 'ready') return
    await this.#worker.getBackend().moveStalledJobsToWait().catch(this.#options.onFault)
  }

  /** After the queue's commit: the final event, if this was the end of the round. What fails here is left to the sweeper. */
  #committed(job: BullJob<BullData, BullReturn>): void {
    const { queue, ports } = this.#options
    const ref: QueueRef = { queue, id: job.data.id, round: job.data.round }
    this.#follow(ports.queue.state(ref).then((state) => (state.at === 'ended' ? finalize(ports, ref, state.outcome, 'worker') : undefined)))
  }

  /** What goes on beside the jobs; `close` waits for it. */
  #follow(act: Promise<void>): void {
    const work = act.catch(this.#options.onFault).finally(() => this.#settling.delete(work))
    this.#settling.add(work)
  }

  #onControl(message: string): void {
    this.#running.get(readControl(message)?.cancel ?? '')?.stop('cancelled')
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
