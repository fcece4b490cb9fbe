import type { Dialect } from '../core/dialect.js'
import type { JobState } from '../core/job-state.js'
import { buildFrame } from './frame.js'
import type { HealthReport } from './health-tracker.js'
import type { TelemetryPart } from './scopes/subscription-handle.js'
import type { TelemetryPump, TelemetrySource } from './telemetry-pump.js'
import type { Topic } from './topic.js'

export interface HealthPorts {
  readonly topic: Topic
  readonly pump: TelemetryPump
  readonly dialect: Dialect
  /** The state of the job, if the client may view it. */
  view(): JobState | null
}

/** The health of one job for one client: the current one at first, then each change. A slow client gets the newest. */
export class HealthSubscription implements TelemetryPart, TelemetrySource {
  readonly #ports: HealthPorts
  /** What was handed to the transport. */
  #sent: HealthReport | null = null
  /** What was put into the outbox. */
  #queued: HealthReport | null = null

  constructor(ports: HealthPorts) {
    this.#ports = ports
  }

  start(): void {
    const { pump, topic } = this.#ports
    pump.add(this)
    topic.health.followers.add(this.#changed)
    this.stale()
  }

  release(): void {
    const { pump, topic } = this.#ports
    topic.health.followers.delete(this.#changed)
    pump.remove(this)
  }

  finish(): void {
    this.release()
  }

  stale(): void {
    this.#ports.topic.look()
    this.#changed()
  }

  fallBehind(): void {
    this.#queued = this.#sent
    this.#changed()
  }

  async pull(): Promise<void> {
    const { topic, pump, dialect } = this.#ports
    const state = this.#ports.view()
    const report = state && topic.health.current
    if (report === this.#queued) return
    this.#queued = report
    if (!report) return
    const frame = buildFrame({ ...dialect.telemetryHead(state.id, state.kind, 'health'), ...report })
    pump.send(frame, () => {
      this.#sent = report
    })
  }

  readonly #changed = (): void => this.#ports.pump.wants(this)
}
