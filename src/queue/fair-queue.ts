import { storeClock } from '../core/store-clock.js'
import { isFinal } from '../protocol/status.js'
import type { Broker } from '../storage/broker.js'
import type { FairScheduler, QueuedRound, QueueRef } from '../storage/fair-scheduler.js'
import type { ActiveRounds, JobRound } from '../storage/job-store.js'
import type { Backlog, Queue, QueueState } from './queue.js'

export interface FairQueuePorts {
  readonly scheduler: FairScheduler
  readonly backlog: Backlog
  /** Where a round's input and token are read when it is its turn. */
  readonly broker: Pick<Broker, 'read'>
  readonly store: Pick<ActiveRounds, 'touch'>
  /** What went wrong with handing out: it is tried again by whoever calls `dispatch` next. */
  readonly onFault: (error: unknown) => void
}

/**
 * The queue: a gate where rounds wait for their turn, and behind it the workers' backlog, which holds at most one round of a queue that no worker has started. So a
 * user's first job is among the next two that are taken, however many of another user wait. Every node hands out; what one leaves undone another one does.
 */
export class FairQueue implements Queue {
  readonly #ports: FairQueuePorts

  constructor(parts: FairQueuePorts) {
    this.#ports = parts
  }

  async add(round: QueuedRound): Promise<void> {
    const state = await this.#ports.scheduler.enter(round)
    // Admitted, and yet added: then the backlog may have lost it, or its dispatcher died before it was there.
    if (state === 'admitted') await this.#hand(round)
    await this.#handOut()
  }

  async started(ref: QueueRef): Promise<void> {
    if (await this.#ports.scheduler.started(ref)) await this.#handOut()
  }

  async remove(round: QueueRef | JobRound): Promise<boolean> {
    const { scheduler: gate, backlog } = this.#ports
    const left = await gate.leave(round)
    const queue = 'queue' in round ? round.queue : left
    // Its owner's place may be what a round of any queue waits for.
    const [isRemoved] = await Promise.all([queue === null || backlog.remove({ ...round, queue }), left !== null && this.#handOut()])
    return isRemoved
  }

  async dispatch(): Promise<void> {
    await this.#clearWindows()
    await this.#handOut()
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
    return this.#ports.backlog.close()
  }

  /** Hands out what may be. Never rejects: what waits at the fair scheduler is safe there, and whoever came with a round of their own has nothing to do with another's. */
  async #handOut(): Promise<void> {
    const { scheduler: gate, onFault } = this.#ports
    try {
      // One that cannot be handed out holds up its own queue alone; the sweeper comes back to it.
      for (let ref = await gate.next(); ref; ref = await gate.next()) await this.#hand(ref).catch(onFault)
    } catch (error) {
      onFault(error)
    }
  }

  /** Puts an admitted round into the backlog, as its job is now; one that is over leaves. */
  async #hand({ queue, id, round }: QueueRef): Promise<void> {
    const { scheduler: gate, backlog, broker, store } = this.#ports
    const state = (await broker.read(id))?.state
    if (!state || state.round !== round || isFinal(state.status)) return void (await gate.leave({ id, round }))
    if (!state.kind.inSteps) await backlog.add({ queue, id, round, input: JSON.parse(state.input), base: state.token })
    else await backlog.step({ queue, id, round }, 'first')
    // While it waited it was seldom looked after.
    await store.touch({ id, round }, storeClock.now())
  }

  /** What stands in the window although no worker will take it from there: its dispatcher died before the backlog had it, or its worker before it said so. */
  async #clearWindows(): Promise<void> {
    const { scheduler: gate, backlog, onFault } = this.#ports
    for (const ref of await gate.prefetched()) {
      const { at } = await backlog.state(ref)
      if (at === 'missing') {
        // One that cannot be handed out must not stand in the way of all others: the sweeper comes back to it.
        await this.#hand(ref).catch((error: unknown) => {
          onFault(error)
          return gate.started(ref)
        })
      } else if (at !== 'waiting') await gate.started(ref)
    }
  }
}
