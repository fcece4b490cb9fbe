import { storeClock } from '../core/store-clock.js'
import { isFinal } from '../protocol/status.js'
import type { Broker } from '../storage/broker.js'
import type { FairScheduler, QueuedRound, QueueRef } from '../storage/fair-scheduler.js'
import type { ActiveRounds, JobRound } from '../storage/job-store.js'
import type { Backlog, Queue, QueueState } from './queue.js'

export interface FairQueuePorts {
  readonly scheduler: FairScheduler
  readonly backlog: Backlog
  /** Source of an execution's input and token when the execution is handed out. */
  readonly broker: Pick<Broker, 'read'>
  readonly store: Pick<ActiveRounds, 'touch'>
  /** Receives errors of handing out executions. The next call of `dispatch` retries. */
  readonly onFault: (error: unknown) => void
}

/** The shortest wait for a delayed execution: the clock of Redis may be a little behind. */
const MIN_WAIT_MS = 10

/**
 * The queue: a fair scheduler, in which executions wait, and behind it the workers' backlog, which holds at most one
 * execution per queue that no worker has started. A user's first job is therefore among the next two that start,
 * however many jobs of another user wait. Every node hands out executions; a node continues what another node left
 * unfinished.
 */
export class FairQueue implements Queue {
  readonly #ports: FairQueuePorts
  /** Hands out delayed executions at `at` (epoch ms). */
  #alarm: { readonly at: number; readonly timer: NodeJS.Timeout } | undefined

  constructor(ports: FairQueuePorts) {
    this.#ports = ports
  }

  async add(round: QueuedRound): Promise<void> {
    const state = await this.#ports.scheduler.enter(round)
    // The execution is admitted but added again: the backlog may have lost it, or its dispatcher died before adding it.
    if (state === 'admitted') await this.#handOut(round)
    await this.#handOutAll()
    if (state === 'waiting' && round.notBefore !== undefined) this.#wakeAt(round.notBefore)
  }

  async started(ref: QueueRef): Promise<void> {
    if (await this.#ports.scheduler.started(ref)) await this.#handOutAll()
  }

  async remove(round: QueueRef | JobRound): Promise<boolean> {
    const { scheduler, backlog } = this.#ports
    const left = await scheduler.leave(round)
    const queue = 'queue' in round ? round.queue : left
    // An execution of any queue may be waiting for the slot of this owner.
    const [isRemoved] = await Promise.all([queue === null || backlog.remove({ ...round, queue }), left !== null && this.#handOutAll()])
    return isRemoved
  }

  async dispatch(): Promise<void> {
    await this.#recoverPrefetched()
    await this.#handOutDelayed()
  }

  cancelOnOwner(ref: QueueRef): Promise<void> {
    return this.#ports.backlog.cancelOnOwner(ref)
  }

  async state(ref: QueueRef): Promise<QueueState> {
    const state = await this.#ports.backlog.state(ref)
    if (state.at !== 'missing') return state
    return (await this.#ports.scheduler.state(ref)) === 'waiting' ? { at: 'held' } : state
  }

  close(): Promise<void> {
    clearTimeout(this.#alarm?.timer)
    return this.#ports.backlog.close()
  }

  /**
   * Hands out all executions that may be admitted. Never rejects: waiting executions are safe in the scheduler, and a
   * caller with its own execution must not fail because of another execution.
   */
  async #handOutAll(): Promise<void> {
    const { scheduler, onFault } = this.#ports
    try {
      // An execution that cannot be handed out blocks only its own queue. The sweeper retries it.
      for (let ref = await scheduler.next(); ref; ref = await scheduler.next()) await this.#handOut(ref).catch(onFault)
    } catch (error) {
      onFault(error)
    }
  }

  /** As `#handOutAll`, and again when the next delayed execution may enter. */
  async #handOutDelayed(): Promise<void> {
    await this.#handOutAll()
    try {
      const due = await this.#ports.scheduler.nextDue()
      if (due !== null) this.#wakeAt(due)
    } catch (error) {
      this.#ports.onFault(error)
    }
  }

  /**
   * One timer, for the earliest time. Without it, also after a restart, delayed executions start with the next sweep.
   */
  #wakeAt(at: number): void {
    const leftMs = at - storeClock.now()
    if (this.#alarm && this.#alarm.at <= at) return
    clearTimeout(this.#alarm?.timer)
    const ring = () => {
      this.#alarm = undefined
      void this.#handOutDelayed()
    }
    this.#alarm = { at, timer: setTimeout(ring, Math.max(MIN_WAIT_MS, leftMs)).unref() }
  }

  /** Adds an admitted execution to the backlog, with the current state of its job. An execution that is over leaves. */
  async #handOut({ queue, id, round }: QueueRef): Promise<void> {
    const { scheduler, backlog, broker, store } = this.#ports
    const state = (await broker.read(id))?.state
    if (!state || state.round !== round || isFinal(state.status)) return void (await scheduler.leave({ id, round }))
    if (!state.kind.inSteps) await backlog.add({ queue, id, round, input: JSON.parse(state.input), base: state.token })
    else await backlog.step({ queue, id, round }, 'first')
    // While the execution waited, the sweeper checked it rarely.
    await store.touch({ id, round }, storeClock.now())
  }

  /**
   * Handles admitted executions that no worker will start: their dispatcher died before adding them to the backlog, or
   * their worker died before reporting the start.
   */
  async #recoverPrefetched(): Promise<void> {
    const { scheduler, backlog, onFault } = this.#ports
    for (const ref of await scheduler.prefetched()) {
      const { at } = await backlog.state(ref)
      if (at === 'missing') {
        // An execution that cannot be handed out must not block all others. The sweeper retries it.
        await this.#handOut(ref).catch((error: unknown) => {
          onFault(error)
          return scheduler.started(ref)
        })
      } else if (at !== 'waiting') await scheduler.started(ref)
    }
  }
}
