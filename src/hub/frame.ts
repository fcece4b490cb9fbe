import type { Dialect, SnapshotFlags } from '../core/dialect.js'
import { type Entry, madeAt } from '../core/entry.js'
import type { JobState } from '../core/job-state.js'
import type { Kind } from '../core/kind.js'
import { storeClock } from '../core/store-clock.js'
import type { HubTally } from './hub-tally.js'

/** A message as bytes, ready to be sent to any number of clients. A transport keeps what it makes of it (a WebSocket frame, an SSE event) beside it. */
export interface Frame {
  readonly payload: Buffer
  /** Of a job's messages: where a client is that has it. A snapshot brings the epoch, the entries that follow are in the same one. */
  readonly position?: { readonly seq: number; readonly epoch?: string }
}

export function buildFrame(message: Readonly<Record<string, unknown>>, position?: Frame['position']): Frame {
  return { payload: Buffer.from(JSON.stringify(message)), ...(position && { position }) }
}

interface Built {
  /** For receivers that have the entry before it: all of them share this one. */
  inStep: Frame | null
  /** Whether it was handed to a socket, live. */
  isOut: boolean
  /** The last one built with a `prev`, for receivers that fell behind together. */
  prev?: { after: number; frame: Frame }
}

/** Frames of entries and snapshots in one dialect, each built once and shared by all sockets. */
export class EntryFrames {
  readonly tally: HubTally
  readonly #dialect: Dialect
  readonly #built = new WeakMap<Entry, Built>()
  readonly #snapshots = new WeakMap<JobState, { key: string; frame: Frame }>()

  /** `tally`: where what leaves is counted. */
  constructor(dialect: Dialect, tally: HubTally) {
    this.#dialect = dialect
    this.tally = tally
  }

  /** Those who come while nothing happens share one; a state that moves on gets a new one. */
  snapshot(state: JobState, flags: SnapshotFlags): Frame {
    const key = `${state.epoch} ${state.seq} ${flags.recovered} ${flags.resync}`
    let known = this.#snapshots.get(state)
    if (known?.key !== key) {
      known = { key, frame: buildFrame(this.#dialect.snapshot(state, flags), { seq: state.seq, epoch: state.epoch }) }
      this.#snapshots.set(state, known)
    }
    return known.frame
  }

  /** Null where the dialect has no message for the entry. */
  inStep(entry: Entry, kind: Kind): Frame | null {
    return this.#entry(entry, kind).inStep
  }

  /**
   * For a receiver whose last entry was `after`: says so in `prev` where entries between were left out on purpose. `isLive`: the entry has just come, and is
   * handed to a socket now.
   */
  following(entry: Entry, kind: Kind, after: number, isLive = false): Frame | null {
    const built = this.#entry(entry, kind)
    if (isLive && !built.isOut && built.inStep) this.#measure(entry, built)
    if (after === entry.seq - 1 || !built.inStep) return built.inStep
    if (built.prev?.after !== after) built.prev = { after, frame: withPrev(built.inStep, after) }
    return built.prev.frame
  }

  /** The first time that an entry leaves for a socket as it came is the measure. A tick may have waited for its turn on the worker, so it is none. */
  #measure(entry: Entry, built: Built): void {
    built.isOut = true
    const { deliveries } = this.tally
    if (entry.class !== 'transient' && deliveries.hasListener) deliveries.add(storeClock.now() - madeAt(entry))
  }

  #entry(entry: Entry, kind: Kind): Built {
    let built = this.#built.get(entry)
    if (!built) {
      const body = this.#dialect.body(entry, kind)
      built = { isOut: false, inStep: body && { payload: body, position: { seq: entry.seq } } }
      this.#built.set(entry, built)
    }
    return built
  }
}

/** The frame of a message that tells the epoch of its job, which no snapshot has told. */
export function withEpoch(frame: Frame, epoch: string): Frame {
  return { ...withField(frame, 'epoch', epoch), ...(frame.position && { position: { ...frame.position, epoch } }) }
}

function withPrev(frame: Frame, prev: number): Frame {
  return withField(frame, 'prev', prev)
}

/** A message is a JSON object with at least its type, so its last byte is a brace and a comma may follow what stands before it. */
function withField(frame: Frame, name: string, value: string | number): Frame {
  const field = Buffer.from(`,"${name}":${JSON.stringify(value)}}`)
  return { ...frame, payload: Buffer.concat([frame.payload.subarray(0, -1), field]) }
}
