import type { SnapshotFlags } from '../protocol/dialect.js'
import type { Entry, Position } from '../protocol/entry.js'
import type { JobState } from '../protocol/job-state.js'
import type { EntryFrames } from './frame.js'
import type { Outbox } from './outbox.js'

/**
 * hop 7: from hub, to outbox. One session's interest in one job:
 *
 *   catching up ──begin──► live ──fallBehind──► lagging ──begin──► live
 *
 * Live, it takes each entry once and in order. Otherwise it takes none: the topic keeps them, and `begin` hands over a snapshot with what belongs to it.
 */
export class Subscription {
  readonly #frames: EntryFrames
  readonly #outbox: Outbox
  #phase: 'catching up' | 'live' | 'lagging' = 'catching up'
  /** Seq of the newest entry taken from the topic. */
  #accepted = 0
  #position: Position | undefined

  /** `after`: where the client says that it is. */
  constructor(frames: EntryFrames, outbox: Outbox, after: Position | undefined) {
    this.#frames = frames
    this.#outbox = outbox
    this.#position = after
  }

  get isLagging(): boolean {
    return this.#phase === 'lagging'
  }

  /** Where the client is, by what has really left for it. Undefined while it has nothing to go on from. */
  get position(): Position | undefined {
    return this.#position
  }

  /** Opens, or opens again after a lag or in a new epoch. `missed`: exactly the entries since the client's position; null: it gets the whole state instead. */
  begin(state: JobState, missed: readonly Entry[] | null, resync: boolean): void {
    const flags: SnapshotFlags = { recovered: missed !== null, ...(resync && { resync }) }
    const position = { epoch: state.epoch, seq: state.seq }
    this.#accepted = state.seq
    this.#phase = 'live'
    const snapshot = this.#frames.snapshot(state, flags)
    // The state is held once for all clients, so it does not count as this one's backlog: what must be sent in any case may not overflow.
    this.#outbox.enqueue({ bytes: 0, seal: () => snapshot })
    if (missed) for (const entry of missed) this.#replay(entry, entry.body.length, { epoch: state.epoch, seq: entry.seq })
    else for (const entry of wholeState(state)) this.#replay(entry, 0)
    // A state is there only as a whole; of what was missed, each entry brings the client one further.
    this.#outbox.enqueue({ bytes: 0, seal: () => this.#arrive(position) })
  }

  /** The count is another one now. Whoever is not live yet begins with it anyway. */
  reopen(state: JobState): void {
    if (this.#phase === 'live') this.begin(state, null, false)
  }

  accept(entry: Entry): void {
    if (this.#phase !== 'live' || entry.seq <= this.#accepted) return
    this.#accepted = entry.seq
    const conflationKey = entry.class === 'tick' ? `${entry.id} ${entry.key}` : undefined
    this.#outbox.enqueue({ bytes: entry.body.length, seal: () => this.#seal(entry) }, conflationKey)
  }

  /** The backlog was dropped: nothing more is taken until the next `begin`. */
  fallBehind(): void {
    if (this.#phase === 'live') this.#phase = 'lagging'
  }

  #replay(entry: Entry, bytes: number, position?: Position): void {
    const frame = this.#frames.inStep(entry)
    const seal = () => {
      if (position) this.#position = position
      return frame
    }
    if (frame) this.#outbox.enqueue({ bytes, seal })
  }

  #arrive(position: Position): null {
    this.#position = position
    return null
  }

  #seal(entry: Entry) {
    // Entries follow a snapshot, so there is a position.
    const { epoch = '', seq = entry.seq - 1 } = this.#position ?? {}
    const frame = this.#frames.following(entry, seq)
    if (frame) this.#position = { epoch, seq: entry.seq }
    return frame
  }
}

/** The latest entry per key, in seq order. The status is left out: the snapshot says it. */
function wholeState(state: JobState): Entry[] {
  return [...state.latest.values()].filter((entry) => entry.key !== 'status').sort((a, b) => a.seq - b.seq)
}
