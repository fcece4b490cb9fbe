import type { Dialect } from '../core/dialect.js'
import type { JobState } from '../core/job-state.js'
import { bucketsOf } from '../core/series.js'
import type { PointsAdded, SeriesReading, StoredSeries, TelemetryAdded } from '../storage/telemetry.js'
import { buildFrame, type Frame } from './frame.js'
import { sharedFrame, TelemetrySubscription } from './telemetry-subscription.js'

/** What one client has of a curve. */
interface Place {
  readonly epoch: string
  /** Points that were handed to the transport, and that were put into the outbox. */
  sent: number
  queued: number
  /** Points per bucket that the client knows of. */
  k: number
  /** The newest known number of points. */
  newest: number
  /** Something was left out, so the curve is read from the store. */
  isBehind: boolean
}

/**
 * The curves of one job for one client: first what there is, one curve at a time, then increments as they come. What a
 * slow client misses is read from the store once it reads again. So it ends with the same buckets as everyone else.
 */
export class SeriesSubscription extends TelemetrySubscription {
  readonly #places = new Map<string, Place>()

  added(increment: TelemetryAdded): void {
    if (increment.reducer !== 'series') return
    const { name, epoch, from, n, k } = increment
    const known = this.#places.get(name)
    const place = known?.epoch === epoch ? known : placeIn(epoch)
    this.#places.set(name, place)
    place.newest = Math.max(place.newest, n)
    if (place.isBehind || (n <= place.queued && k <= place.k)) return
    const isNext = from === place.queued && !this.isStale && !this.ports.pump.isBlocked
    const state = isNext ? this.ports.view() : null
    if (state) this.#send(place, increment, frameOf(increment, state, this.ports.dialect))
    else {
      place.isBehind = true
      this.ports.pump.wants(this)
    }
  }

  /** The client has only the first `from` points of a curve. */
  request(name: string, from: number): void {
    const place = this.#places.get(name)
    if (!place) return this.stale()
    place.sent = Math.min(place.sent, from)
    place.queued = place.sent
    place.isBehind = true
    this.ports.pump.wants(this)
  }

  fallBehind(): void {
    for (const place of this.#places.values()) {
      if (place.queued === place.sent) continue
      place.queued = place.sent
      place.isBehind = true
    }
    this.ports.pump.wants(this)
  }

  async pull(): Promise<void> {
    if (this.isStale) await this.#compareAll()
    else await this.#catchUp()
  }

  /** Finds the curves of which the client lacks points. */
  async #compareAll(): Promise<void> {
    this.isStale = false
    const reading = await this.ports.topic.allSeries().catch((error: unknown) => {
      this.isStale = true
      throw error
    })
    // Nothing of another job with this id is sent. The hub calls `stale` once it knows that job.
    if (!reading || reading.owner !== this.ports.view()?.owner) return this.isFinishing ? this.release() : undefined
    for (const { name, n, k } of reading.series) this.#compare(name, reading.epoch, n, k)
    this.ports.pump.wants(this)
  }

  #compare(name: string, epoch: string, n: number, k: number): void {
    const known = this.#places.get(name)
    const place = known?.epoch === epoch ? known : placeIn(epoch)
    this.#places.set(name, place)
    place.newest = Math.max(place.newest, n)
    if (n > place.queued || k > place.k) place.isBehind = true
  }

  /** Sends what the client lacks of one curve. */
  async #catchUp(): Promise<void> {
    const { topic, pump } = this.ports
    const [name, place] = [...this.#places].find(([, { isBehind }]) => isBehind) ?? []
    if (name === undefined || !place) {
      const isDone = this.isFinishing && [...this.#places.values()].every(({ queued, sent }) => queued === sent)
      return isDone ? this.release() : undefined
    }
    const from = place.queued
    const reading = await topic.series(name, from)
    const state = this.ports.view()
    const [series] = reading?.series ?? []
    // The client may have become slow, or asked for more, or another attempt has begun.
    if (pump.isBlocked || this.#places.get(name) !== place || place.queued !== from) return pump.wants(this)
    if (!state || reading?.owner !== state.owner || !series) this.#places.delete(name)
    else if (reading.epoch !== place.epoch) this.#compare(name, reading.epoch, series.n, series.k)
    else {
      place.isBehind = place.newest > series.n
      this.#send(place, series, this.#foldOf(state, reading, series))
      return
    }
    pump.wants(this)
  }

  #foldOf({ id, kind }: JobState, { epoch, seq }: SeriesReading, { name, unit, x, n, k, from, bytes }: StoredSeries): Frame {
    const head = this.ports.dialect.telemetryHead(id, kind, 'series')
    return buildFrame({ ...head, metric_name: name, unit, x, epoch, from, n, k, buckets: bucketsOf(bytes), as_of_seq: seq })
  }

  #send(place: Place, { n, k }: { readonly n: number; readonly k: number }, frame: Frame): void {
    place.queued = n
    place.k = k
    this.ports.pump.send(frame, () => {
      place.sent = Math.max(place.sent, n)
      this.ports.pump.wants(this)
    })
  }
}

function placeIn(epoch: string): Place {
  return { epoch, sent: 0, queued: 0, k: 1, newest: 0, isBehind: false }
}

function frameOf(increment: PointsAdded, { id, kind }: JobState, dialect: Dialect): Frame {
  return sharedFrame(increment, dialect, () => {
    const { epoch, body } = increment
    const { type, ...head } = dialect.telemetryHead(id, kind, 'series')
    const live = { type: type === 'process_series' ? 'process_metric' : type, ...head, epoch }
    // The increment is the JSON of an object with at least one field.
    return { payload: Buffer.concat([Buffer.from(`${JSON.stringify(live).slice(0, -1)},`), body.subarray(1)]) }
  })
}
