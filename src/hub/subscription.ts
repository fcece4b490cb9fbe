import type { SnapshotFlags } from '../protocol/dialect.js'
import type { Entry } from '../protocol/entry.js'
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
  /** Seq of the last message that went out, for `prev`. */
  #sent = 0
  #sentEpoch = ''

  constructor(frames: EntryFrames, outbox: Outbox) {
    this.#frames = frames
    this.#outbox = outbox
  }

  get isLagging(): boolean {
    return this.#phase === 'lagging'
  }

  /** Where the client is: what has really left for it. */
  get position(): { epoch: string; seq: number } {
    return { epoch: this.#sentEpoch, seq: this.#sent }
  }

  /** Opens, or opens again after a lag or in a new epoch. `missed`: exactly the entries since the client's position; null: it gets the whole state instead. */
  begin(state: JobState, missed: readonly Entry[] | null, resync: boolean): void {
    const flags: SnapshotFlags = { recovered: missed !== null, ...(resync && { resync }) }
    const snapshot = this.#frames.snapshot(state, flags)
    const position = { epoch: state.epoch, seq: state.seq }
    this.#outbox.enqueue({
      bytes: snapshot.payload.length,
      seal: () => {
        this.#sent = position.seq
        this.#sentEpoch = position.epoch
        return snapshot
      },
    })
    for (const entry of missed ?? wholeState(state)) {
      const frame = this.#frames.inStep(entry)
      if (frame) this.#outbox.enqueue({ bytes: frame.payload.length, seal: () => frame })
    }
    this.#accepted = state.seq
    this.#phase = 'live'
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

  #seal(entry: Entry) {
    const frame = this.#frames.following(entry, this.#sent)
    if (frame) this.#sent = entry.seq
    return frame
  }
}

/** The latest entry per key, in seq order. The status is left out: the snapshot says it. */
function wholeState(state: JobState): Entry[] {
  return [...state.latest.values()].filter((entry) => entry.key !== 'status').sort((a, b) => a.seq - b.seq)
}
