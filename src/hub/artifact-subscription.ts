import type { Dialect } from '../core/dialect.js'
import type { JobState } from '../core/job-state.js'
import type { NumberedArtifact } from '../protocol/artifact.js'
import { type ArtifactRecord, artifactOf } from '../storage/artifact-records.js'
import { type ArtifactAdded, type ArtifactsReading, roundOf, type TelemetryAdded } from '../storage/telemetry.js'
import { buildFrame, type Frame } from './frame.js'
import { sharedFrame, type TelemetryPorts, TelemetrySubscription } from './telemetry-subscription.js'

/** What a client has of the artifacts of an attempt: all of the first `n`. */
interface Place {
  readonly epoch: string
  readonly n: number
}

/**
 * The artifacts of one job for one client: first the list of those that there are, then each one as it is stored. A
 * client that has missed one, because it is slow or the channel was lost, gets the list again. So does one whose job
 * has begun another attempt.
 */
export class ArtifactSubscription extends TelemetrySubscription {
  readonly #publicPath: string
  /** By what was handed to the transport. */
  #sent: Place | null = null
  /** By what was put into the outbox. */
  #queued: Place | null = null

  constructor(ports: TelemetryPorts, publicPath: string) {
    super(ports)
    this.#publicPath = publicPath
  }

  added(increment: TelemetryAdded): void {
    if (increment.reducer !== 'artifact') return
    const { pump, dialect } = this.ports
    const at = this.#queued
    const { epoch, artifact } = increment
    if (!this.isStale && at?.epoch === epoch && artifact.n <= at.n) return // read already
    const isNext = !this.isStale && at?.epoch === epoch && artifact.n === at.n + 1 && !pump.isBlocked
    const state = isNext ? this.ports.view() : null
    if (!state) return this.stale()
    this.#send(frameOf(increment, state, dialect, this.#publicPath), { epoch, n: artifact.n })
  }

  fallBehind(): void {
    if (this.#queued === this.#sent) return
    this.#queued = this.#sent
    this.stale()
  }

  async pull(): Promise<void> {
    const { topic, pump } = this.ports
    this.isStale = false
    const at = this.#queued
    const reading = await topic.artifacts()
    // The client may have become slow, or lost its backlog, meanwhile.
    if (pump.isBlocked || this.#queued !== at) return this.stale()
    const state = this.ports.view()
    // Nothing of another job with this id is sent. The hub calls `stale` once it knows that job.
    if (!reading || !state || state.owner !== reading.owner) return this.isFinishing ? this.release() : undefined
    const place = { epoch: reading.epoch, n: reading.artifacts.at(-1)?.n ?? 0 }
    if (at?.epoch !== place.epoch || at.n !== place.n) {
      // The artifacts of the next execution are not wanted any more.
      if (at && this.isFinishing && roundOf(place.epoch) > roundOf(at.epoch)) return this.release()
      this.#send(this.#listOf(reading, state, place), place)
    } else if (this.isFinishing && this.#sent === this.#queued) this.release()
  }

  #listOf({ artifacts }: ArtifactsReading, state: JobState, place: Place): Frame {
    const head = this.ports.dialect.telemetryHead(state.id, state.kind, 'artifacts')
    return buildFrame({ ...head, ...place, artifacts: artifacts.map((artifact) => numbered(artifact, state.id, this.#publicPath)) })
  }

  #send(frame: Frame, place: Place): void {
    this.#queued = place
    this.ports.pump.send(frame, () => {
      this.#sent = place
      if (this.isStale || this.isFinishing) this.ports.pump.wants(this)
    })
  }
}

function numbered(artifact: ArtifactRecord, id: string, publicPath: string): NumberedArtifact {
  return { ...artifactOf(artifact, `${publicPath}/api/jobs/${id}/artifacts`), n: artifact.n }
}

function frameOf(increment: ArtifactAdded, { id, kind }: JobState, dialect: Dialect, publicPath: string): Frame {
  const { epoch, artifact } = increment
  return sharedFrame(increment, dialect, () =>
    buildFrame({ ...dialect.telemetryHead(id, kind, 'artifact'), epoch, ...numbered(artifact, id, publicPath) }),
  )
}
