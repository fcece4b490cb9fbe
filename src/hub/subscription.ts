import type { SnapshotFlags } from '../core/dialect.js'
import type { Entry, Position } from '../core/entry.js'
import type { JobState } from '../core/job-state.js'
import type { Kind } from '../core/kind.js'
import { isFinal } from '../protocol/status.js'
import { type EntryFrames, type Frame, withEpoch } from './frame.js'
import type { Outbox } from './outbox.js'

/**
 * How a subscription opens. `snapshot`: the whole state in one message, then what belongs to it. `listed`: the client has the state from a list that
 * was made in this turn. `log`: by its entries alone, as if it had been there; as a snapshot where the log does not reach back.
 */
export type StartMode = 'snapshot' | 'listed' | 'log'

/**
 * hop 7: from hub, to outbox. One session's interest in one job:
 *
 *   catching up ──begin──► live ──fallBehind──► lagging ──begin──► live
 *
 * Live, it takes each entry once and in order. Otherwise it takes none: the topic keeps them, and `begin` hands over a snapshot with what belongs to it.
 * From any phase it may be silenced, for good.
 */
export class Subscription {
  readonly #frames: EntryFrames
  readonly #outbox: Outbox
  readonly #ended: (seq: number) => void
  /** Of the job, from its first state on. */
  #kind: Kind | undefined
  #phase: 'catching up' | 'live' | 'lagging' | 'silenced' = 'catching up'
  /** Seq of the newest entry taken from the topic. */
  #accepted = 0
  /** Seq of the final message whose leaving was told last. */
  #sentEnd = 0
  #position: Position | undefined
  /** Goes out with the next message: no snapshot has said it. */
  #unsentEpoch: string | null = null
  /** The state of a history that goes on in an epoch that no snapshot has said. */
  #continued: JobState | null = null

  /** `ended` is called once when a final message has left, or was there already, with its seq. */
  constructor(frames: EntryFrames, outbox: Outbox, ended: (seq: number) => void = () => {}) {
    this.#frames = frames
    this.#outbox = outbox
    this.#ended = ended
  }

  /** Where the client says that it is; once it has been told something, that counts. */
  startAt(position: Position): void {
    if (this.#phase === 'catching up') this.#position = position
  }

  get isLagging(): boolean {
    return this.#phase === 'lagging'
  }

  /** Where the client is, by what has really left for it. Undefined while it has nothing to go on from. */
  get position(): Position | undefined {
    return this.#position
  }

  /** Opens, or opens again after a lag or in a new epoch. `missed`: exactly the entries since the client's position; null: it gets the whole state instead. */
  start(state: JobState, missed: readonly Entry[] | null, opening: StartMode, resync: boolean): void {
    if (this.#phase === 'silenced') return
    this.#accepted = state.seq
    this.#kind = state.kind
    this.#sentEnd = 0
    // What is enqueued while a backlog is being dropped is lost with it: then the resync begins this one too.
    this.#phase = this.#outbox.isOverflowed ? 'lagging' : 'live'
    this.#unsentEpoch = null
    this.#continued = null
    const isSameEpoch = this.#position?.epoch === state.epoch
    // A client may take `recovered` in another epoch for position 0 where no replay follows.
    if (!isSameEpoch && !missed?.some((entry) => this.#inStep(entry))) missed = null
    if (opening === 'log' && missed && isSameEpoch) {
      this.#unsentEpoch = state.epoch
      // Each message brings the client one further, and what the dialect has no message for does not.
      for (const entry of missed) this.#take(entry, false)
      return
    }
    if (opening !== 'listed') this.#sendState(state, missed, { recovered: missed !== null, ...(resync && { resync }) })
    // A state is there only as a whole.
    const arrival = { epoch: state.epoch, seq: state.seq, isEnd: isFinal(state.status) }
    this.#enqueue(0, () => this.#arrive(arrival))
  }

  /** The count is another one now. Whoever is not live yet begins with it anyway. */
  reopen(state: JobState): void {
    if (this.#phase === 'live') this.start(state, null, 'snapshot', false)
  }

  /** The history goes on in another epoch. The next entry brings a snapshot that says so, so that a client can resume with what follows. */
  goOn(state: JobState): void {
    if (this.#phase === 'live') this.#continued = state
  }

  accept(entry: Entry): void {
    if (this.#phase !== 'live' || entry.seq <= this.#accepted) return
    this.#accepted = entry.seq
    if (this.#continued && this.#inStep(entry)) {
      this.#sendState(this.#continued, [entry], { recovered: true })
      this.#continued = null
    } else this.#take(entry, true, entry.class === 'transient' ? `${entry.id} ${entry.key}` : undefined)
  }

  /** The backlog was dropped: nothing more is taken until the next `begin`. */
  fallBehind(): void {
    if (this.#phase === 'live') this.#phase = 'lagging'
  }

  /** What waits for the client, and what comes, is not for it any more. */
  silence(): void {
    this.#phase = 'silenced'
  }

  /** Null where the dialect has no message for the entry. */
  #inStep(entry: Entry): Frame | null {
    return this.#kind ? this.#frames.inStep(entry, this.#kind) : null
  }

  #enqueue(bytes: number, seal: () => Frame | null, conflationKey?: string): void {
    this.#outbox.enqueue({ bytes, seal: () => (this.#phase === 'silenced' ? null : seal()) }, conflationKey)
  }

  /** `isLive`: it has just come, and is not told after the fact. */
  #take(entry: Entry, isLive: boolean, conflationKey?: string): void {
    // Durable entries that the dialect has no message for would add up to a backlog that nobody gets.
    if (entry.class === 'persisted' && !this.#inStep(entry)) return
    this.#enqueue(entry.body.length, () => this.#seal(entry, isLive), conflationKey)
  }

  #sendState(state: JobState, missed: readonly Entry[] | null, flags: SnapshotFlags): void {
    const snapshot = this.#frames.snapshot(state, flags)
    // The state is held once for all clients, so it does not count as this one's backlog: what must be sent in any case may not overflow.
    this.#enqueue(0, () => snapshot)
    if (missed) for (const entry of missed) this.#replay(entry, entry.body.length, { epoch: state.epoch, seq: entry.seq })
    else for (const entry of wholeState(state)) this.#replay(entry, 0)
  }

  #replay(entry: Entry, bytes: number, position?: Position): void {
    const frame = this.#inStep(entry)
    const seal = () => {
      this.#frames.tally.delivered += 1
      if (position) this.#position = position
      if (entry.class === 'final') this.#sendEnd(entry.seq)
      return frame
    }
    if (frame) this.#enqueue(bytes, seal)
  }

  #arrive({ epoch, seq, isEnd }: Position & { readonly isEnd: boolean }): null {
    this.#position = { epoch, seq }
    // Also where the final message was no part of what was missed.
    if (isEnd) this.#sendEnd(seq)
    return null
  }

  #seal(entry: Entry, isLive: boolean) {
    // Entries follow a snapshot, so there is a position.
    const { epoch = '', seq = entry.seq - 1 } = this.#position ?? {}
    const frame = this.#kind ? this.#frames.following(entry, this.#kind, seq, isLive) : null
    const untold = this.#unsentEpoch
    if (frame) {
      this.#frames.tally.delivered += 1
      this.#position = { epoch, seq: entry.seq }
      this.#unsentEpoch = null
    }
    if (entry.class === 'final') this.#sendEnd(entry.seq)
    return frame && untold !== null ? withEpoch(frame, untold) : frame
  }

  #sendEnd(seq: number): void {
    if (seq <= this.#sentEnd) return
    this.#sentEnd = seq
    this.#ended(seq)
  }
}

/** The latest entry per key, in seq order. The status is left out: the snapshot says it. */
function wholeState(state: JobState): Entry[] {
  return [...state.latest.values()].filter((entry) => entry.key !== 'status').sort((a, b) => a.seq - b.seq)
}
