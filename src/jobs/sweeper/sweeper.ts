import { storeClock } from '../../core/store-clock.js'
import { isFinal } from '../../protocol/status.js'
import type { QueueWatch } from '../../queue/queue-watch.js'
import type { QueueRef } from '../../storage/fair-scheduler.js'
import type { JobRound } from '../../storage/job-store.js'
import type { Lease } from '../../storage/lease.js'
import type { Finalizer } from '../finalize.js'
import { JobCounts } from './job-counts.js'
import { LostLockTracker } from './lost-lock-tracker.js'
import { type ReconcileLimits, reconcile } from './reconcile.js'

export interface SweeperOptions extends ReconcileLimits {
  readonly intervalMs: number
  readonly onFault: (error: unknown) => void
  /**
   * Whether this process's clock is right. Deadlines depend on it, so with a wrong clock the process neither sweeps nor
   * holds the lease.
   */
  readonly isInStep?: () => boolean
}

const BATCH = 200
const AT_ONCE = 16
/** How long the worker has to finalize before the sweeper acts on the queue's events. */
const EVENT_DELAY_MS = 500

/**
 * Reconciles the executions that have not ended. Every hub and worker runs a sweeper, but a lease lets only one at a
 * time sweep and receive the queue's events. If two do so for a moment, nothing is done twice.
 */
export class Sweeper {
  readonly #ports: Finalizer
  readonly #lease: Lease
  readonly #watch: QueueWatch
  readonly #options: SweeperOptions
  readonly #timer: NodeJS.Timeout
  readonly #delayed = new Map<string, NodeJS.Timeout>()
  readonly #lostLocks = new LostLockTracker()
  /** Job counts of the last sweeps, for metrics. */
  readonly counts = new JobCounts()
  #renewing: Promise<void> | undefined
  #sweeping: Promise<void> | undefined
  #isHolder = false
  #closed = false

  constructor(ports: Finalizer & { readonly lease: Lease; readonly watch: QueueWatch }, options: SweeperOptions) {
    this.#ports = ports
    this.#lease = ports.lease
    this.#watch = ports.watch
    this.#options = options
    const renew = () => {
      this.#renewing ??= this.#renew()
        .catch(options.onFault)
        .finally(() => {
          this.#renewing = undefined
        })
    }
    this.#timer = setInterval(renew, options.intervalMs).unref()
  }

  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#timer)
    await Promise.all([this.#renewing, this.#sweeping])
    await this.#stopWatching()
    // Not if Redis did not even grant the lease.
    if (this.#isHolder) await this.#lease.release().catch(this.#options.onFault)
  }

  async #renew(): Promise<void> {
    const wasHolder = this.#isHolder
    this.#isHolder = false
    if (this.#options.isInStep?.() === false) {
      if (wasHolder) await this.#lease.release()
      return this.#stopWatching()
    }
    this.#isHolder = await this.#lease.acquire()
    if (!this.#isHolder || this.#closed) return this.#stopWatching()
    this.#watch.open((ref) => this.#receive(ref))
    // Not awaited: the lease must be renewed meanwhile.
    this.#sweeping ??= this.#sweep()
      .catch(this.#options.onFault)
      .finally(() => {
        this.#sweeping = undefined
      })
  }

  /** Sweeps the jobs that are due once. */
  async #sweep(): Promise<void> {
    const { store, queue } = this.#ports
    // A job checked in the last turn is due in this one, although its check ended a little after that turn began.
    const due = storeClock.now() - this.#options.intervalMs / 2
    for (;;) {
      // Jobs are reconciled even if the dispatch fails.
      await queue.dispatch().catch(this.#options.onFault)
      const rounds = await store.active(due, BATCH)
      const waiting = [...rounds]
      const worker = async () => {
        for (let round = waiting.shift(); round && !this.#closed; round = waiting.shift()) await this.#reconcile(round, 'sweeper')
      }
      await Promise.all(Array.from({ length: AT_ONCE }, worker))
      if (rounds.length < BATCH || this.#closed) return this.counts.swept()
    }
  }

  async #reconcile(round: JobRound, source: 'sweeper' | 'queue'): Promise<void> {
    const { store } = this.#ports
    await reconcile(this.#ports, round, { ...this.#options, source, lostLocks: this.#lostLocks, counts: this.counts }).catch(
      async (error: unknown) => {
        this.#options.onFault(error)
        // Moves it to the end of the index, so that the executions behind it are checked.
        await store.touch(round, storeClock.now()).catch(this.#options.onFault)
      },
    )
  }

  /** Delays the queue's events: in most cases the worker finalizes first. */
  #receive({ id, round }: QueueRef): void {
    const name = `${id}~${round}`
    if (this.#delayed.has(name)) return
    const follow = async () => {
      this.#delayed.delete(name)
      const state = (await this.#ports.broker.read(id))?.state
      if (state?.round === round && !isFinal(state.status)) await this.#reconcile({ id, round }, 'queue')
    }
    this.#delayed.set(
      name,
      setTimeout(() => void follow().catch(this.#options.onFault), EVENT_DELAY_MS),
    )
  }

  async #stopWatching(): Promise<void> {
    this.#lostLocks.clear()
    this.counts.clear()
    for (const timer of this.#delayed.values()) clearTimeout(timer)
    this.#delayed.clear()
    await this.#watch.close()
  }
}
