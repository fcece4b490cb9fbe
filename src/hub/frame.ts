import type { Dialect, JobOfEntry, SnapshotFlags } from '../core/dialect.js'
import { type Bytes, createdAtMs, type Entry } from '../core/entry.js'
import type { JobState } from '../core/job-state.js'
import { storeClock } from '../core/store-clock.js'
import type { HubTally } from './hub-tally.js'

/**
 * A message as bytes, ready to be sent to any number of clients. A transport caches its own form (a WebSocket frame, an
 * SSE event) with it.
 */
export interface Frame {
  readonly payload: Bytes
  /**
   * For messages of a job: the client's position once it has the message. A snapshot carries the epoch; the entries
   * that follow belong to the same epoch.
   */
  readonly position?: { readonly seq: number; readonly epoch?: string }
}

export function buildFrame(message: Readonly<Record<string, unknown>>, position?: Frame['position']): Frame {
  return { payload: Buffer.from(JSON.stringify(message)), ...(position && { position }) }
}

interface Built {
  /** For receivers that have the entry before it. All of them share this frame. */
  inStep: Frame | null
  /** Whether it was handed to a socket live. */
  isOut: boolean
  /** The last frame built with a `prev`, shared by receivers that fell behind together. */
  prev?: { after: number; frame: Frame }
}

/** Frames of entries and snapshots in one dialect. Each is built once and shared by all sockets. */
export class EntryFrames {
  readonly tally: HubTally
  readonly #dialect: Dialect
  readonly #built = new WeakMap<Entry, Built>()
  readonly #snapshots = new WeakMap<JobState, { key: string; words: JobState['words']; frame: Frame }>()
  readonly #words = new WeakMap<JobState, { words: JobState['words']; frame: Frame }>()

  /** `tally` counts deliveries. */
  constructor(dialect: Dialect, tally: HubTally) {
    this.#dialect = dialect
    this.tally = tally
  }

  /** Clients that subscribe between two entries share one frame. A new state gets a new frame. */
  snapshot(state: JobState, flags: SnapshotFlags): Frame {
    const key = `${state.epoch} ${state.seq} ${flags.recovered} ${flags.after} ${flags.resync}`
    let known = this.#snapshots.get(state)
    if (known?.key !== key || known.words !== state.words) {
      known = { key, words: state.words, frame: buildFrame(this.#dialect.snapshot(state, flags), { seq: state.seq, epoch: state.epoch }) }
      this.#snapshots.set(state, known)
    }
    return known.frame
  }

  /** The message about changed words, one frame for all clients. */
  words(state: JobState): Frame {
    let known = this.#words.get(state)
    if (!known || known.words !== state.words) {
      known = { words: state.words, frame: buildFrame(this.#dialect.words(state)) }
      this.#words.set(state, known)
    }
    return known.frame
  }

  /** Null if the dialect has no message for the entry. */
  inStep(entry: Entry, job: JobOfEntry): Frame | null {
    return this.#entry(entry, job).inStep
  }

  /**
   * For a receiver whose last entry was `after`. The frame carries `prev` if entries in between were left out on
   * purpose. `isLive`: the entry has just arrived and is handed to a socket now.
   */
  following(entry: Entry, job: JobOfEntry, after: number, isLive = false): Frame | null {
    const built = this.#entry(entry, job)
    if (isLive && !built.isOut && built.inStep) this.#measure(entry, built)
    if (after === entry.seq - 1 || !built.inStep) return built.inStep
    if (built.prev?.after !== after) built.prev = { after, frame: withPrev(built.inStep, after) }
    return built.prev.frame
  }

  /**
   * Measures the first hand-over of an entry to a socket. Transient events are not measured: they may have waited on
   * the worker.
   */
  #measure(entry: Entry, built: Built): void {
    built.isOut = true
    const { deliveries } = this.tally
    if (entry.class !== 'transient' && deliveries.hasListener) deliveries.add(storeClock.now() - createdAtMs(entry))
  }

  #entry(entry: Entry, job: JobOfEntry): Built {
    let built = this.#built.get(entry)
    if (!built) {
      const body = this.#dialect.body(entry, job)
      built = { isOut: false, inStep: body && { payload: body, position: { seq: entry.seq } } }
      this.#built.set(entry, built)
    }
    return built
  }
}

/** A frame that also states the epoch of its job, for a client that has received no snapshot. */
export function withEpoch(frame: Frame, epoch: string): Frame {
  return { ...withField(frame, 'epoch', epoch), ...(frame.position && { position: { ...frame.position, epoch } }) }
}

function withPrev(frame: Frame, prev: number): Frame {
  return withField(frame, 'prev', prev)
}

/**
 * A message is a JSON object with at least a type. So its last byte is a brace, and a comma may precede the new field.
 */
function withField(frame: Frame, name: string, value: string | number): Frame {
  const field = Buffer.from(`,"${name}":${JSON.stringify(value)}}`)
  return { ...frame, payload: Buffer.concat([frame.payload.subarray(0, -1), field]) }
}
