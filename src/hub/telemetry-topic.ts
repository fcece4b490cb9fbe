import type { Clock } from '../core/clock.js'
import { isOverloaded } from '../protocol/codes.js'
import type { ArtifactsReading, LinesPage, LinesQuery, SeriesReading, TelemetryAdded, TelemetryStore } from '../storage/telemetry.js'
import type { Kept } from './registry.js'

/** Receives the telemetry of one job. */
export interface TelemetryFollower {
  added(increment: TelemetryAdded): void
  /** Increments may have been missed. */
  stale(): void
  /** The store has these lines: whether something was missed. */
  compare(head: LinesPage): void
}

export interface TelemetryPorts {
  readonly telemetry: TelemetryStore
  readonly clock: Clock
  /** Receives errors that are not an outage of Redis. */
  readonly onFault: (error: unknown) => void
}

/**
 * The telemetry of a job on this node, for any number of followers. It keeps nothing of it: followers read what they
 * need, and equal reads at the same moment are one.
 */
export class TelemetryTopic implements Kept {
  readonly id: string
  readonly followers = new Set<TelemetryFollower>()
  readonly #ports: TelemetryPorts
  readonly #quietMs: number
  readonly #reads = new Map<string, Promise<LinesPage | null>>()
  readonly #series = new Map<string, Promise<SeriesReading | null>>()
  #allSeries: Promise<SeriesReading | null> | undefined
  #artifacts: Promise<ArtifactsReading | null> | undefined
  #subscribing: Promise<void> | undefined
  #cancelQuiet: (() => void) | undefined
  #closed = false

  /** `quietMs`: how long it may be silent before it is compared with the store. */
  constructor(id: string, ports: TelemetryPorts, quietMs: number) {
    this.id = id
    this.#ports = ports
    this.#quietMs = quietMs
  }

  get isIdle(): boolean {
    return this.followers.size === 0
  }

  /** Resolves once every later increment is delivered. */
  async open(): Promise<void> {
    this.#subscribing ??= this.#ports.telemetry.subscribe(this.id).catch((error: unknown) => {
      this.#subscribing = undefined
      throw error
    })
    await this.#subscribing
    this.#watchQuiet()
  }

  receive(increment: TelemetryAdded): void {
    for (const follower of this.followers) follower.added(increment)
    this.#watchQuiet()
  }

  /** Increments may have been missed. */
  recover(): void {
    for (const follower of this.followers) follower.stale()
  }

  lines(query: LinesQuery): Promise<LinesPage | null> {
    const key = JSON.stringify(query)
    let read = this.#reads.get(key)
    if (!read) {
      read = this.#ports.telemetry.lines(this.id, query).finally(() => this.#reads.delete(key))
      this.#reads.set(key, read)
    }
    return read
  }

  /** All curves, without their buckets. */
  allSeries(): Promise<SeriesReading | null> {
    this.#allSeries ??= this.#ports.telemetry.allSeries(this.id).finally(() => {
      this.#allSeries = undefined
    })
    return this.#allSeries
  }

  artifacts(): Promise<ArtifactsReading | null> {
    this.#artifacts ??= this.#ports.telemetry.artifacts(this.id).finally(() => {
      this.#artifacts = undefined
    })
    return this.#artifacts
  }

  /** The curve of a metric, after the first `from` points. */
  series(name: string, from: number): Promise<SeriesReading | null> {
    const key = `${from} ${name}`
    let read = this.#series.get(key)
    if (!read) {
      read = this.#ports.telemetry.series(this.id, name, from).finally(() => this.#series.delete(key))
      this.#series.set(key, read)
    }
    return read
  }

  close(): void {
    this.#closed = true
    this.#cancelQuiet?.()
  }

  #watchQuiet(): void {
    this.#cancelQuiet?.()
    if (!this.#closed) this.#cancelQuiet = this.#ports.clock.after(this.#quietMs, () => void this.#look())
  }

  /** The last increment may have been lost. */
  async #look(): Promise<void> {
    try {
      const head = this.isIdle ? null : await this.lines({ after: Number.MAX_SAFE_INTEGER, limit: 1, maxBytes: 1 })
      if (head) for (const follower of this.followers) follower.compare(head)
    } catch (error) {
      if (!isOverloaded(error)) this.#ports.onFault(error)
    }
    this.#watchQuiet()
  }
}
