import type { Broker } from '../broker/broker.js'
import type { Gate } from '../broker/gate.js'
import type { ActiveRounds, JobRound } from '../broker/job-store.js'
import { KIND_NAMES, type KindName } from '../protocol/kinds.js'
import { isFinal } from '../protocol/status.js'
import type { Backlog, Queue, QueuedJob, QueueRef, QueueState } from './queue.js'

export interface FairQueueParts {
  readonly gate: Gate
  readonly backlog: Backlog
  /** Where a round's input and token are read when it is its turn. */
  readonly broker: Pick<Broker, 'read'>
  readonly store: Pick<ActiveRounds, 'touch'>
  /** What went wrong with handing out: it is tried again by whoever calls `dispatch` next. */
  readonly onFault: (error: unknown) => void
}

/**
 * The queue: a gate where rounds wait for their turn, and behind it the workers' backlog, which holds at most one round of a kind that no worker has started. So a
 * user's first job is among the next two that are taken, however many of another user wait. Every node hands out; what one leaves undone another one does.
 */
export class FairQueue implements Queue {
  readonly #parts: FairQueueParts

  constructor(parts: FairQueueParts) {
    this.#parts = parts
  }

  async add(job: QueuedJob): Promise<void> {
    const state = await this.#parts.gate.enter(job)
    // Admitted, and yet added: then the backlog may have lost it, or its dispatcher died before it was there.
    if (state === 'admitted') await this.#hand(job.kind, job)
    await this.#handOut([job.kind])
  }

  async started(ref: QueueRef): Promise<void> {
    if (await this.#parts.gate.started(ref.kind, ref)) await this.#handOut([ref.kind])
  }

  async remove(ref: QueueRef): Promise<boolean> {
    const { gate, backlog } = this.#parts
    const removing = backlog.remove(ref)
    // Its owner's place may be what a round of any kind waits for.
    const leaving = gate.leave(ref).then((left) => this.#handOut(left ? KIND_NAMES : []))
    return (await Promise.all([removing, leaving]))[0]
  }

  async dispatch(): Promise<void> {
    for (const kind of KIND_NAMES) await this.#clearWindow(kind)
    await this.#handOut(KIND_NAMES)
  }

  cancelOnOwner(ref: QueueRef): Promise<void> {
    return this.#parts.backlog.cancelOnOwner(ref)
  }

  async state(ref: QueueRef): Promise<QueueState> {
    const state = await this.#parts.backlog.state(ref)
    if (state.at !== 'missing') return state
    return (await this.#parts.gate.state(ref)) === 'waiting' ? { at: 'held' } : state
  }

  close(): Promise<void> {
    return this.#parts.backlog.close()
  }

  /** Hands out what may be. Never rejects: what waits at the gate is safe there, and whoever came with a round of their own has nothing to do with another's. */
  async #handOut(kinds: readonly KindName[]): Promise<void> {
    await Promise.all(
      kinds.map(async (kind) => {
        for (let round = await this.#parts.gate.next(kind); round; round = await this.#parts.gate.next(kind)) await this.#hand(kind, round)
      }),
    ).catch(this.#parts.onFault)
  }

  /** Puts an admitted round into the backlog, as its job is now; one that is over leaves. */
  async #hand(kind: KindName, { id, round }: JobRound): Promise<void> {
    const { gate, backlog, broker, store } = this.#parts
    const state = (await broker.read(id))?.state
    if (!state || state.round !== round || isFinal(state.status)) return void (await gate.leave({ id, round }))
    await backlog.add({ kind, id, round, input: JSON.parse(state.input), base: state.token })
    // While it waited it was seldom looked after.
    await store.touch({ id, round }, Date.now())
  }

  /** What stands in the window although no worker will take it from there: its dispatcher died before the backlog had it, or its worker before it said so. */
  async #clearWindow(kind: KindName): Promise<void> {
    const { gate, backlog, onFault } = this.#parts
    for (const round of await gate.window(kind)) {
      const { at } = await backlog.state({ kind, ...round })
      if (at === 'missing') {
        // One that cannot be handed out must not stand in the way of all others: the sweeper comes back to it.
        await this.#hand(kind, round).catch((error: unknown) => {
          onFault(error)
          return gate.started(kind, round)
        })
      } else if (at !== 'waiting') await gate.started(kind, round)
    }
  }
}
