import type { Dialect } from '../core/dialect.js'
import type { JobState } from '../core/job-state.js'
import type { LinesPage, TelemetryAdded } from '../storage/telemetry.js'
import type { Frame } from './frame.js'
import type { TelemetryPump, TelemetrySource } from './telemetry-pump.js'
import type { TelemetryFollower, TelemetryTopic } from './telemetry-topic.js'

export interface TelemetryPorts {
  readonly topic: TelemetryTopic
  readonly pump: TelemetryPump
  readonly dialect: Dialect
  /** The state of the job, if the client may view it. */
  view(): JobState | null
  /** Called when it has been released. */
  released(): void
}

/** One kind of telemetry of one job for one client: increments as they come, and reads of what the client lacks. */
export abstract class TelemetrySubscription implements TelemetryFollower, TelemetrySource {
  protected readonly ports: TelemetryPorts
  /** The store may have more than what was put into the outbox. */
  protected isStale = true
  /** After `finish`. */
  protected isFinishing = false
  #isReleased = false

  constructor(ports: TelemetryPorts) {
    this.ports = ports
  }

  start(): void {
    this.ports.pump.add(this)
    this.ports.topic.followers.add(this)
    this.stale()
  }

  release(): void {
    if (this.#isReleased) return
    this.#isReleased = true
    this.ports.topic.followers.delete(this)
    this.ports.pump.remove(this)
    this.ports.released()
  }

  /** Releases it once everything of this execution was sent. */
  finish(): void {
    this.isFinishing = true
    this.stale()
  }

  stale(): void {
    this.isStale = true
    this.ports.pump.wants(this)
  }

  compare(_head: LinesPage): void {
    this.stale()
  }

  abstract added(increment: TelemetryAdded): void
  abstract fallBehind(): void
  abstract pull(): Promise<void>
}

const frames = new WeakMap<TelemetryAdded, Map<Dialect, Frame>>()

/** The frame of an increment in a dialect, built once for all clients. */
export function sharedFrame(increment: TelemetryAdded, dialect: Dialect, build: () => Frame): Frame {
  const known = frames.get(increment) ?? new Map<Dialect, Frame>()
  frames.set(increment, known)
  let frame = known.get(dialect)
  if (!frame) {
    frame = build()
    known.set(dialect, frame)
  }
  return frame
}
