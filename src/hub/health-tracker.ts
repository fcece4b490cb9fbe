import type { Clock } from '../core/clock.js'
import { progressOf } from '../core/dialect.js'
import { createdAtMs, type Entry } from '../core/entry.js'
import type { JobState } from '../core/job-state.js'
import { storeClock } from '../core/store-clock.js'
import type { Health } from '../protocol/health.js'
import { isFinal } from '../protocol/status.js'

/** Fields of a health message. `since`: ISO 8601; absent if the job is `ok`. */
export interface HealthReport {
  readonly health: Health
  readonly since?: string
}

/** The last advance of a running job. */
interface Advance {
  /** The entries that it was read from. */
  readonly status: Entry | undefined
  readonly progress: Entry
  /** The start or resume of the job, and how far it has come since. */
  readonly place: string
  /** When it came there, by `Clock.elapsed`. */
  readonly at: number
  /** Usual ms between two advances; null if unknown. */
  readonly stepMs: number | null
}

/** A job is stalled after this many times its usual step, and not before this time. */
const USUAL_STEPS = 3
const MIN_STALL_MS = 10_000

/**
 * The health of a job, from its state and the time alone. It sets no timer: the topic calls `look` after each entry and
 * each read, so also when the job has been silent for a while.
 */
export class HealthTracker {
  /** Called after each change. Without any, nothing is computed. */
  readonly followers = new Set<() => void>()
  readonly #clock: Clock
  #current: HealthReport | null = null
  #advance: Advance | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** As of the last look; null for a job that has ended. Another object after each change. */
  get current(): HealthReport | null {
    return this.#current
  }

  look(state: JobState | null): void {
    if (this.followers.size === 0) return
    const next = this.#judge(state)
    if (next?.health === this.#current?.health) return
    this.#current = next
    for (const changed of this.followers) changed()
  }

  #judge(state: JobState | null): HealthReport | null {
    if (!state || isFinal(state.status)) return null
    if (state.stale) return { health: 'stale', since: ago(state.sinceHeartbeatMs ?? 0) }
    const advance = state.status === 'running' ? this.#lastAdvance(state) : undefined
    const idleMs = advance ? this.#clock.elapsed() - advance.at : 0
    const isStalled = advance && advance.stepMs !== null && idleMs >= Math.max(USUAL_STEPS * advance.stepMs, MIN_STALL_MS)
    return isStalled ? { health: 'stalled', since: ago(idleMs) } : { health: 'ok' }
  }

  /** A progress that repeats the one before it is no advance. The time of a pause does not count. */
  #lastAdvance(state: JobState): Advance | undefined {
    const [progress, status] = [state.latest.get('progress'), state.latest.get('status')]
    const known = this.#advance
    if (!progress) return undefined
    if (known?.progress === progress && known.status === status) return known
    const { current, step_s } = progressOf(state) ?? {}
    const place = `${state.generation} ${state.attempt} ${status?.seq} ${current}`
    const sinceMs = Math.min(ageMs(progress), status ? ageMs(status) : Number.POSITIVE_INFINITY)
    const at = known?.place === place ? known.at : this.#clock.elapsed() - sinceMs
    const stepMs = typeof step_s === 'number' ? 1000 * step_s : null
    this.#advance = { status, progress, place, at, stepMs }
    return this.#advance
  }
}

/** How long ago an entry was written; 0 if it does not say so. */
function ageMs(entry: Entry): number {
  return Math.max(0, storeClock.now() - createdAtMs(entry) || 0)
}

function ago(ms: number): string {
  return new Date(storeClock.now() - ms).toISOString()
}
