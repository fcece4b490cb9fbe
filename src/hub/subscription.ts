import type { JobOfEntry, SnapshotFlags } from '../core/dialect.js'
import type { Entry, Position } from '../core/entry.js'
import type { JobState } from '../core/job-state.js'
import { isFinal } from '../protocol/status.js'
import { type EntryFrames, type Frame, withEpoch } from './frame.js'
import type { Outbox } from './outbox.js'

/**
 * How a subscription starts. `snapshot`: the whole state in one message, then the entries that belong to it. `listed`:
 * the client has the state from a list that was built in this turn. `log`: only the entries, as if the client had been
 * connected all the time; falls back to a snapshot if the log does not reach back far enough.
 */
export type StartMode = 'snapshot' | 'listed' | 'log'

/**
 * hop 7: from hub to outbox. One session's subscription to one job:
 *
 *   catching up ──start──► live ──fallBehind──► lagging ──start──► live
 *
 * While live, it accepts each entry once and in order. Otherwise it accepts none: the topic keeps them, and `start`
 * sends a snapshot with the entries that belong to it. It may be muted from any phase, for good.
 */
export class Subscription {
  readonly #frames: EntryFrames
  readonly #outbox: Outbox
  readonly #ended: (seq: number) => void
  /** The job's kind and parent, known from its first state on. */
  #job: JobOfEntry | undefined
  #phase: 'catching up' | 'live' | 'lagging' | 'muted' = 'catching up'
  /** Seq of the newest entry accepted from the topic. */
  #accepted = 0
  /** Seq of the last final event whose departure was reported. */
  #sentEnd = 0
  #position: Position | undefined
  /** Seq of the newest message or whole state that was really sent. Entries up to the position may have no message. */
  #reached: number | undefined
  /** Goes out with the next message, since no snapshot has stated it. */
  #unsentEpoch: string | null = null
  /** The state of a history that continues in an epoch that no snapshot has stated. */
  #continued: JobState | null = null

  /** `ended` is called once per final event, with its seq: when it has left, or if it had left before. */
  constructor(frames: EntryFrames, outbox: Outbox, ended: (seq: number) => void = () => {}) {
    this.#frames = frames
    this.#outbox = outbox
    this.#ended = ended
  }

  /** The position that the client reports. It is ignored once something was sent. */
  startAt(position: Position): void {
    if (this.#phase !== 'catching up') return
    this.#position = position
    this.#reached = position.seq
  }

  get isLagging(): boolean {
    return this.#phase === 'lagging'
  }

  /** The client's position, by what was really sent. Undefined while the client has nothing to resume from. */
  get position(): Position | undefined {
    return this.#position
  }

  /**
   * Starts, or starts again after a lag or in a new epoch. `missed`: exactly the entries since the client's position.
   * Null: the client gets the whole state instead.
   */
  start(state: JobState, missed: readonly Entry[] | null, mode: StartMode, resync: boolean): void {
    if (this.#phase === 'muted') return
    this.#accepted = state.seq
    this.#job = { kind: state.kind, parent: state.parent }
    this.#sentEnd = 0
    // Items enqueued while a backlog is being dropped are lost with it. Then the resync starts this one too.
    this.#phase = this.#outbox.isOverflowed ? 'lagging' : 'live'
    this.#unsentEpoch = null
    this.#continued = null
    const isSameEpoch = this.#position?.epoch === state.epoch
    // Without a replay, a client may take `recovered` in another epoch for position 0.
    if (!isSameEpoch && !missed?.some((entry) => this.#inStep(entry))) missed = null
    if (mode === 'log' && missed && isSameEpoch) {
      this.#unsentEpoch = state.epoch
      // Each message moves the client forward. An entry without a message in the dialect does not.
      for (const entry of missed) this.#take(entry, false)
      // No snapshot has said them.
      if (state.words) this.#tell(state)
      return
    }
    if (mode !== 'listed') this.#sendState(state, missed, { recovered: missed !== null, ...(resync && { resync }) })
    // The client has the state only when all of it has left.
    const arrival = { epoch: state.epoch, seq: state.seq, isEnd: isFinal(state.status), isWhole: missed === null }
    this.#enqueue(0, () => this.#arrive(arrival))
  }

  /** The job has a new count. A subscription that is not live yet starts with it anyway. */
  reopen(state: JobState): void {
    if (this.#phase === 'live') this.start(state, null, 'snapshot', false)
  }

  /**
   * The history continues in another epoch. The next entry is preceded by a snapshot that says so, so that the client
   * can resume from later entries.
   */
  changeEpoch(state: JobState): void {
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

  /** The words of the job have changed. A client that is not live gets them with its state. */
  renamed(state: JobState): void {
    if (this.#phase === 'live') this.#tell(state)
  }

  /** The backlog was dropped: nothing is accepted until the next `start`. */
  fallBehind(): void {
    if (this.#phase === 'live') this.#phase = 'lagging'
  }

  /** Nothing that waits or arrives from now on is sent to the client. */
  mute(): void {
    this.#phase = 'muted'
  }

  #tell(state: JobState): void {
    const frame = this.#frames.words(state)
    this.#enqueue(frame.payload.length, () => frame, `${state.id} words`)
  }

  /** Null if the dialect has no message for the entry. */
  #inStep(entry: Entry): Frame | null {
    return this.#job ? this.#frames.inStep(entry, this.#job) : null
  }

  #enqueue(bytes: number, seal: () => Frame | null, conflationKey?: string): void {
    this.#outbox.enqueue({ bytes, seal: () => (this.#phase === 'muted' ? null : seal()) }, conflationKey)
  }

  /** `isLive`: the entry has just arrived and is not replayed. */
  #take(entry: Entry, isLive: boolean, conflationKey?: string): void {
    // Persisted events without a message in the dialect would add up to a backlog that is never sent.
    if (entry.class === 'persisted' && !this.#inStep(entry)) return
    this.#enqueue(entry.body.length, () => this.#seal(entry, isLive), conflationKey)
  }

  #sendState(state: JobState, missed: readonly Entry[] | null, flags: SnapshotFlags): void {
    const after = flags.recovered ? this.#reached : undefined
    const snapshot = this.#frames.snapshot(state, { ...flags, ...(after !== undefined && { after }) })
    // All clients share the state, so it does not count towards this client's backlog: a message that must be sent may
    // not cause an overflow.
    this.#enqueue(0, () => snapshot)
    if (missed) for (const entry of missed) this.#replay(entry, entry.body.length, { epoch: state.epoch, seq: entry.seq })
    else for (const entry of wholeState(state)) this.#replay(entry, 0)
  }

  #replay(entry: Entry, bytes: number, position?: Position): void {
    const frame = this.#inStep(entry)
    const seal = () => {
      this.#frames.tally.delivered += 1
      if (position) {
        this.#position = position
        this.#reached = position.seq
      }
      if (entry.class === 'final') this.#sendEnd(entry.seq)
      return frame
    }
    if (frame) this.#enqueue(bytes, seal)
  }

  #arrive({ epoch, seq, isEnd, isWhole }: Position & { readonly isEnd: boolean; readonly isWhole: boolean }): null {
    this.#position = { epoch, seq }
    if (isWhole) this.#reached = seq
    // Also if the final event was not among the missed entries.
    if (isEnd) this.#sendEnd(seq)
    return null
  }

  #seal(entry: Entry, isLive: boolean) {
    // Entries follow a snapshot, so there is a position.
    const { epoch = '', seq = entry.seq - 1 } = this.#position ?? {}
    const frame = this.#job ? this.#frames.following(entry, this.#job, seq, isLive) : null
    const epochToSend = this.#unsentEpoch
    if (frame) {
      this.#frames.tally.delivered += 1
      this.#position = { epoch, seq: entry.seq }
      this.#reached = entry.seq
      this.#unsentEpoch = null
    }
    if (entry.class === 'final') this.#sendEnd(entry.seq)
    return frame && epochToSend !== null ? withEpoch(frame, epochToSend) : frame
  }

  #sendEnd(seq: number): void {
    if (seq <= this.#sentEnd) return
    this.#sentEnd = seq
    this.#ended(seq)
  }
}

/** The latest entry per key, in order of seq, without the status: the snapshot contains it. */
function wholeState(state: JobState): Entry[] {
  return [...state.latest.values()].filter((entry) => entry.key !== 'status').sort((a, b) => a.seq - b.seq)
}
