import { randomBytes, randomUUID } from 'node:crypto'
import { controlWriter, type JobEvent } from '../../src/core/entry.js'
import type { JobState } from '../../src/core/job-state.js'
import { opening } from '../../src/core/kind.js'
import { lineJson } from '../../src/core/log-line.js'
import { runEvents } from '../../src/core/run-events.js'
import type { Status } from '../../src/protocol/status.js'
import type { Reading, Rejected, Written } from '../../src/storage/broker.js'
import type { HistoryPage, NewJob } from '../../src/storage/job-store.js'
import type { Backend as Whole } from './backend.js'
import { WAYS } from './rule-state-1.js'

export function newJob(fields: Partial<NewJob> = {}): NewJob {
  const generation = randomBytes(6).toString('hex')
  const record = { id: `job-${randomUUID()}`, kind: 'run', owner: 'alice', input: '{"width_mm":25}', digest: 'digest' } as const
  return { ...record, generation, timeoutMs: 3600_000, solver: null, parent: null, created_at: new Date().toISOString(), ...fields }
}

type Backend = Pick<Whole, 'broker' | 'store'> & Partial<Whole>

/** The event with which a job enters a state. */
export function entering(id: string, to: Status): JobEvent {
  switch (to) {
    case 'completed':
      return runEvents.completed(id, { compute_time_s: 1.5, metrics_summary: { natural_frequency_hz: 19955.6 } }, {})
    case 'failed':
      return runEvents.failed(id, { error: 'no convergence', code: 'solver_error', log_tail: 'line' }, {})
    case 'cancelled':
      return runEvents.cancelled(id, {})
    default:
      return runEvents.status(id, to)
  }
}

export function progress(id: string, percent: number): JobEvent {
  return runEvents.progress(id, { percent, phase: 'solving', message: `${percent} % – größer`, elapsed_s: percent / 10 })
}

export function metric(id: string, name: string, value: number): JobEvent {
  return runEvents.metric(id, name, value, 'Hz')
}

/** The event as if it had happened at another time. */
export function at(timestamp: string, event: JobEvent): JobEvent {
  return { ...event, message: { ...event.message, timestamp } }
}

/** A job with the writer of its round: each `write` raises `n`. */
export class TestJob {
  readonly id: string
  round = 1
  token = 1
  n = 0
  readonly #backend: Backend

  private constructor(backend: Backend, id: string) {
    this.#backend = backend
    this.id = id
  }

  static async create(backend: Backend, fields: Partial<NewJob> = {}): Promise<TestJob> {
    const job = newJob(fields)
    const answer = await backend.store.create(job, runEvents.status(job.id, 'queued'))
    if (!answer.created) throw new Error(`${job.id} exists already`)
    return new TestJob(backend, job.id)
  }

  /** A job in this state, entered the shortest way. */
  static async in(backend: Backend, status: Status, fields: Partial<NewJob> = {}): Promise<TestJob> {
    const job = await TestJob.create(backend, fields)
    for (const step of WAYS[status]) await job.enter(step)
    return job
  }

  /** By the job's worker. */
  write(...events: JobEvent[]): Promise<Written | Rejected> {
    this.n += 1
    return this.#backend.broker.publish(this.id, events, { round: this.round, token: this.token, n: this.n })
  }

  /** Lines of the log, by the job's worker. `skipped`: how many were left out before them. */
  logs(texts: readonly string[], { skipped = 0, events = [] as readonly JobEvent[] } = {}): Promise<Written | Rejected> {
    this.n += 1
    const lines = texts.map((text) => lineJson({ text, timestamp: '2026-01-01T00:00:00.000Z' }))
    const writer = { round: this.round, token: this.token, n: this.n }
    return this.#backend.broker.publish(this.id, events, writer, [{ reducer: 'append', skipped, lines }])
  }

  /** By the control plane. */
  control(...events: JobEvent[]): Promise<Written | Rejected> {
    return this.#backend.broker.publish(this.id, events, controlWriter(this.round))
  }

  /** The next state, which must be accepted. Answers its seq. */
  async enter(to: Status): Promise<number> {
    const answer = await this.write(entering(this.id, to))
    if (!answer.ok) throw new Error(`${this.id} cannot enter ${to}: ${answer.reason}`)
    return answer.seq
  }

  /** An explicit retry. */
  async retry(): Promise<void> {
    this.round += 1
    this.token = 1
    this.n = 0
    const { kind } = await this.state()
    const answer = await this.control(opening('round', kind, entering(this.id, 'queued')))
    if (!answer.ok) throw new Error(`${this.id} cannot be retried: ${answer.reason}`)
  }

  async state(): Promise<JobState> {
    const reading = await this.#backend.broker.read(this.id)
    if (!reading) throw new Error(`${this.id} does not exist`)
    return reading.state
  }

  /** What was missed since a seq of this epoch. */
  async since(seq: number): Promise<Reading['missed']> {
    const { epoch } = await this.state()
    return (await this.#backend.broker.read(this.id, { epoch, seq }))?.missed
  }

  async history(after = 0, limit = 1000): Promise<HistoryPage> {
    const page = await this.#backend.store.history(this.id, after, limit)
    if (!page) throw new Error(`${this.id} does not exist`)
    return page
  }
}
