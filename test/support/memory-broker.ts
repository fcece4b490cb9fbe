import { type Entry, FENCED_FROM, type JobEvent, type Position, sourcesOf, type Writer } from '../../src/core/entry.js'
import { advance, type JobBrief, type JobState } from '../../src/core/job-state.js'
import { metricKey } from '../../src/core/run-events.js'
import type { SeriesTelemetry } from '../../src/core/series-telemetry.js'
import type { AppendTelemetry, Telemetry } from '../../src/core/telemetry.js'
import { readWords, type StoredWords } from '../../src/core/words.js'
import { isComputed, isFinal } from '../../src/protocol/status.js'
import type {
  Broker,
  BrokerLimits,
  BrokerListener,
  Heartbeats,
  Reading,
  Rejected,
  WriteRejection,
  Written,
} from '../../src/storage/broker.js'
import { DEFAULT_BROKER_LIMITS, tooBig, tooManyKeys, tooManySeries } from '../../src/storage/broker.js'
import type { Checkpoint, Checkpoints, NextCheckpoint } from '../../src/storage/checkpoints.js'
import type {
  ActiveRounds,
  ChildJobs,
  Created,
  HistoryPage,
  JobRound,
  JobStore,
  KnownJob,
  ListPage,
  NewJob,
} from '../../src/storage/job-store.js'
import {
  type ArtifactAdded,
  attemptEpoch,
  type LinesPage,
  type LinesQuery,
  logEpoch,
  type SeriesReading,
  type TelemetryListener,
  type TelemetryStore,
} from '../../src/storage/telemetry.js'
import { BUILT_IN } from './kinds.js'
import { MemorySeries } from './memory-series.js'

interface StoredJob {
  readonly state: JobState
  readonly digest: string
  readonly order: number
  log: Entry[]
  /** Entries that were trimmed from the log, without those of metrics. */
  kept: Entry[]
  /** Log lines of an execution, as JSON; `first` is the number of the first one. */
  lines: { round: number; first: number; texts: string[] }
  readonly series: MemorySeries
  artifacts?: ArtifactAdded[]
  persisted: number
  writer: { token: number; n: number; seq: number }
  heartbeatAt: number | null
  listed: boolean
}

/** A broker in memory, with the guarantees of the one on Redis, checked by the same contract suite. */
export class MemoryBroker implements Broker, Heartbeats, Checkpoints, JobStore, ChildJobs, ActiveRounds {
  /** The telemetry of its jobs. */
  readonly telemetry: TelemetryStore = {
    listen: (listener) => {
      this.#telemetryListener = listener
    },
    subscribe: async (id) => void this.#telemetrySubscribed.add(id),
    unsubscribe: async (id) => void this.#telemetrySubscribed.delete(id),
    lines: async (id, query) => this.#linesOf(id, query),
    allSeries: async (id) => this.#seriesOf(id, null, 0),
    series: async (id, name, from = 0) => this.#seriesOf(id, name, from),
    artifacts: async (id) => {
      const { state, artifacts } = this.#jobs.get(id) ?? {}
      if (!state) return null
      const [epoch, all] = [attemptEpoch(state.generation, state.round, state.attempt), artifacts ?? []]
      return { owner: state.owner, epoch, artifacts: all.filter((each) => each.epoch === epoch).map(({ artifact }) => artifact) }
    },
  }
  readonly #telemetrySubscribed = new Set<string>()
  #telemetryListener: TelemetryListener = { added: () => {}, gap: () => {} }
  readonly #jobs = new Map<string, StoredJob>()
  readonly #checkpoints = new Map<string, Checkpoint>()
  readonly #subscribed = new Set<string>()
  /** The sweeper's index: rounds by id and number, with the time of the last check. */
  readonly #active = new Map<string, JobRound & { at: number }>()
  readonly #limits: BrokerLimits
  #listener: BrokerListener = { entry: () => {}, gap: () => {} }

  constructor(limits: Partial<BrokerLimits> = {}) {
    this.#limits = { ...DEFAULT_BROKER_LIMITS, ...limits }
  }

  /** Records a link as an artifact of a job, as `ArtifactRecords.commit`. `isLost`: its message is not delivered. */
  storeArtifact(id: string, name: string, isLost = false): void {
    const job = this.#jobs.get(id)
    if (!job) throw new Error(`no job ${id}`)
    const { generation, round, attempt } = job.state
    const epoch = attemptEpoch(generation, round, attempt)
    const current = (job.artifacts ?? []).filter((each) => each.epoch === epoch)
    const n = (current.at(-1)?.artifact.n ?? 0) + 1
    const record = { bytes: null, sha256: null, object: null, url: `https://example.com/${n}`, createdAt: '2026-11-30T00:00:00.000Z' }
    const added: ArtifactAdded = { reducer: 'artifact', id, epoch, artifact: { name, mediaType: 'text/plain', ...record, n } }
    job.artifacts = [...current.filter(({ artifact }) => artifact.name !== name), added]
    if (!isLost && this.#telemetrySubscribed.has(id)) this.#telemetryListener.added(added)
  }

  async create(job: NewJob, first: JobEvent): Promise<Created> {
    const before = this.#jobs.get(job.id)
    if (before) return { created: false, existing: { owner: before.state.owner, digest: before.digest } }
    const { digest, words: given = {}, ...record } = job
    const words = readWords(given)
    const counters = {
      round: 1,
      attempt: 1,
      token: 0,
      n: 0,
      sinceHeartbeatMs: null,
      stale: false,
      started_at: null,
      finished_at: null,
      seq: 0,
      latest: new Map(),
    }
    const state: JobState = {
      ...record,
      ...counters,
      kind: BUILT_IN.get(job.kind),
      status: 'queued',
      epoch: `${job.generation}.memory`,
      ...(words && { words }),
    }
    const writer = { token: 0, n: 0, seq: 0 }
    const lines = { round: 1, first: 1, texts: [] }
    const stored = {
      state,
      digest,
      order: this.#jobs.size,
      log: [],
      kept: [],
      lines,
      series: new MemorySeries(),
      persisted: 0,
      writer,
      heartbeatAt: null,
      listed: true,
    }
    this.#jobs.set(job.id, stored)
    this.#append(stored, first)
    await this.reactivate({ ...state, kind: job.kind })
    return { created: true }
  }

  async setWords(id: string, owner: string, changes: Partial<StoredWords>): Promise<boolean> {
    const state = this.#jobs.get(id)?.state
    if (state?.owner !== owner) return false
    const { title = '', tags, metadata } = state.words ?? {}
    const before = { title, tags: tags ? JSON.stringify(tags) : '', metadata: metadata ? JSON.stringify(metadata) : '' }
    if (Object.entries(changes).every(([name, text]) => before[name as keyof StoredWords] === text)) return true
    const words = readWords({ ...before, ...changes })
    if (words) state.words = words
    else delete state.words
    if (this.#subscribed.has(id)) this.#listener.gap(id)
    return true
  }

  /** Memory is not counted here. */
  async weigh(): Promise<void> {}

  async reactivate({ id, round, created_at }: KnownJob): Promise<void> {
    await this.activate({ id, round }, Date.parse(created_at))
    const job = this.#jobs.get(id)
    if (job) job.listed = true
  }

  async publish(
    id: string,
    events: readonly JobEvent[],
    writer: Writer,
    telemetry: readonly Telemetry[] = [],
  ): Promise<Written | Rejected> {
    return this.#publish(id, events, writer, telemetry)
  }

  #publish(id: string, events: readonly JobEvent[], writer: Writer, telemetry: readonly Telemetry[] = []): Written | Rejected {
    const job = this.#jobs.get(id)
    for (const [i, { message }] of events.entries()) {
      const bytes = Buffer.byteLength(JSON.stringify(message))
      if (bytes > this.#limits.maxEventBytes) return tooBig(events, i, bytes, this.#limits)
    }
    if (!job) return { ok: false, reason: 'unknown_job', status: null }
    const refuse = (reason: WriteRejection): Rejected => ({ ok: false, reason, status: job.state.status })
    const opens = events[0]?.clears === 'round'
    if (writer.round !== job.state.round + (opens ? 1 : 0)) return refuse('stale_round')
    if (writer.n > 0) {
      if (writer.token < job.writer.token) return refuse('stale_writer')
      // Processes that end the execution of a lost worker share one n. Only the first of them has ended it.
      if (writer.token === job.writer.token && writer.n === job.writer.n && writer.n > FENCED_FROM) return refuse('final')
      if (writer.token === job.writer.token && writer.n === job.writer.n) return { ok: true, seq: job.writer.seq, status: job.state.status }
      if (writer.token === job.writer.token && writer.n < job.writer.n) return refuse('stale_write')
    }
    const accepted: JobEvent[] = []
    let status = job.state.status
    for (const event of events) {
      const leaves = event.clears === 'round'
      const legal = isFinal(status) === leaves && sourcesOf(event).includes(status)
      if (legal) accepted.push(event)
      else if (!event.optional) return refuse(isFinal(status) ? 'final' : 'transition')
      if (legal && event.to) status = event.to
    }
    if (telemetry.length > 0 && isFinal(job.state.status)) return refuse('final')
    // A job at the limit of keys must still be able to end.
    const fresh = accepted.filter((event) => event.class !== 'final' && !job.state.latest.has(event.key)).length
    if (fresh > 0 && job.state.latest.size + fresh > this.#limits.maxKeys) return tooManyKeys(events, job.state.status, this.#limits)
    const points = telemetry.flatMap((report) => (report.reducer === 'series' ? [report] : []))
    const keys = new Set(events.map(({ key }) => key))
    const withoutEntry = points.map(({ name }) => name).filter((name) => !keys.has(metricKey(name)))
    if (!job.series.hasRoom(job.state, withoutEntry, this.#limits)) return tooManySeries(telemetry, job.state.status, this.#limits)
    const counts = new Map<string, number[]>()
    for (const report of telemetry) {
      if (report.reducer === 'append') this.#reduce(job, report)
      else this.#fold(job, report, counts)
    }
    for (const event of accepted) this.#append(job, event, counts.get(event.key)?.shift())
    if (writer.n > 0) {
      job.writer = { token: writer.token, n: writer.n, seq: job.state.seq }
      job.heartbeatAt = performance.now()
    }
    return { ok: true, seq: job.state.seq, status }
  }

  async advance(
    id: string,
    events: readonly JobEvent[],
    writer: Writer,
    next: NextCheckpoint,
    telemetry: readonly Telemetry[] = [],
  ): Promise<Written | Rejected> {
    const status = this.#jobs.get(id)?.state.status ?? null
    if ((this.#checkpoints.get(id)?.version ?? 0) !== next.version - 1) return { ok: false, reason: 'stale_checkpoint', status }
    const answer = this.#publish(id, events, writer, telemetry)
    if (answer.ok) this.#checkpoints.set(id, { ...next, round: writer.round })
    return answer
  }

  async load(id: string): Promise<Checkpoint | null> {
    return this.#checkpoints.get(id) ?? null
  }

  async drop(id: string, round: number): Promise<void> {
    if (this.#checkpoints.get(id)?.round === round) this.#checkpoints.delete(id)
  }

  async heartbeat(id: string, writer: Writer, alive: boolean): Promise<Written | Rejected> {
    const job = this.#jobs.get(id)
    if (!job) return { ok: false, reason: 'unknown_job', status: null }
    const { status, round, seq } = job.state
    if (writer.round !== round) return { ok: false, reason: 'stale_round', status }
    if (writer.token < job.writer.token) return { ok: false, reason: 'stale_writer', status }
    if (writer.token === job.writer.token && job.writer.n >= FENCED_FROM) return { ok: false, reason: 'stale_write', status }
    if (isFinal(status)) return { ok: false, reason: 'final', status }
    if (alive) job.heartbeatAt = performance.now()
    return { ok: true, seq, status }
  }

  async read(id: string, since?: Position): Promise<Reading | null> {
    const job = this.#jobs.get(id)
    if (!job) return null
    const state = this.#stateOf(job)
    if (!since || since.epoch !== state.epoch || since.seq > state.seq || this.#isTrimmed(job, since.seq)) return { state }
    const persisted = job.log.filter((entry) => entry.seq > since.seq)
    if (persisted.length > this.#limits.maxMissedEntries) return { state }
    const transients = [...state.latest.values()].filter((entry) => entry.class === 'transient' && entry.seq > since.seq)
    return { state, missed: [...persisted, ...transients].sort((a, b) => a.seq - b.seq) }
  }

  async readBrief(id: string): Promise<JobBrief | null> {
    return (await this.read(id))?.state ?? null
  }

  async list(owner: string, kind: string | null, limit: number, cursor?: string): Promise<ListPage> {
    const before = cursor === undefined ? Number.POSITIVE_INFINITY : Number(cursor)
    const jobs = [...this.#jobs.values()]
      .filter((job) => job.listed && job.state.owner === owner && (!kind || job.state.kind.name === kind) && job.order < before)
      .reverse()
    const page = jobs.slice(0, limit)
    return { ids: page.map((job) => job.state.id), ...(jobs.length > limit && { cursor: String(page.at(-1)?.order) }) }
  }

  async history(id: string, after: number, limit: number): Promise<HistoryPage | null> {
    const job = this.#jobs.get(id)
    if (!job) return null
    const entries = [...job.kept, ...job.log].filter((entry) => entry.seq > after).slice(0, limit)
    return { entries, oldestSeq: job.log[0]?.seq ?? null, truncated: this.#isTrimmed(job, after) }
  }

  async activate({ id, round }: JobRound, now: number): Promise<void> {
    const key = `${id}~${round}`
    if (!this.#active.has(key)) this.#active.set(key, { id, round, at: now })
  }

  async active(before: number, limit: number): Promise<readonly JobRound[]> {
    const due = [...this.#active.values()].filter(({ at }) => at <= before).slice(0, limit)
    return due.map(({ id, round }) => ({ id, round }))
  }

  async touch({ id, round }: JobRound, now: number): Promise<void> {
    const entry = this.#active.get(`${id}~${round}`)
    if (entry) entry.at = now
  }

  async deactivate({ id, round }: JobRound): Promise<void> {
    this.#active.delete(`${id}~${round}`)
  }

  /** Does nothing: entries do not expire here. */
  async expireSoon(): Promise<void> {}

  async forget(owner: string, id: string): Promise<void> {
    const job = this.#jobs.get(id)
    if (job?.state.owner === owner) job.listed = false
  }

  listen(listener: BrokerListener): void {
    this.#listener = listener
  }

  async subscribe(id: string): Promise<void> {
    this.#subscribed.add(id)
  }

  async unsubscribe(id: string): Promise<void> {
    this.#subscribed.delete(id)
  }

  async ready(): Promise<boolean> {
    return true
  }

  async close(): Promise<void> {
    this.#subscribed.clear()
  }

  #reduce({ state, lines }: StoredJob, { reducer, skipped, lines: texts }: AppendTelemetry): void {
    if (lines.round !== state.round || skipped > 0) {
      lines.first = lines.round === state.round ? lines.first + lines.texts.length + skipped : 1 + skipped
      lines.round = state.round
      lines.texts = []
    }
    const first = lines.first + lines.texts.length
    lines.texts.push(...texts)
    const bytes = () => lines.texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0)
    while (lines.texts.length > 1 && (lines.texts.length > this.#limits.maxLogLines || bytes() > this.#limits.maxLogBytes)) {
      lines.texts.shift()
      lines.first += 1
    }
    if (!this.#telemetrySubscribed.has(state.id)) return
    const epoch = logEpoch(state.generation, state.round)
    this.#telemetryListener.added({ reducer, id: state.id, epoch, first, count: texts.length, body: Buffer.from(`[${texts}]`) })
  }

  #linesOf(id: string, { limit, maxBytes, after, before }: LinesQuery): LinesPage | null {
    const job = this.#jobs.get(id)
    if (!job) return null
    const { owner, status, generation, round } = job.state
    const { first: oldest, texts } = job.lines.round === round ? job.lines : { first: 1, texts: [] }
    const last = oldest + texts.length - 1
    const numbered = texts.map((text, i) => ({ n: oldest + i, bytes: Buffer.from(text) }))
    const isAfter = after !== undefined
    const wanted = isAfter ? numbered.filter(({ n }) => n > after) : numbered.filter(({ n }) => n < (before ?? last + 1)).reverse()
    let sum = 0
    const found: typeof numbered = []
    for (const line of wanted.slice(0, limit)) {
      sum += line.bytes.length
      if (found.length > 0 && sum > maxBytes) break
      found.push(line)
    }
    if (!isAfter) found.reverse()
    const first = found[0]?.n ?? (isAfter ? last + 1 : oldest)
    return { owner, status, epoch: logEpoch(generation, round), oldest, last, first, lines: found.map(({ bytes }) => bytes) }
  }

  #stateOf({ state, writer, heartbeatAt }: StoredJob): JobState {
    const sinceHeartbeatMs = isComputed(state.status) && heartbeatAt !== null ? performance.now() - heartbeatAt : null
    const stale = sinceHeartbeatMs !== null && sinceHeartbeatMs > this.#limits.staleMs
    return { ...state, token: writer.token, n: writer.n, sinceHeartbeatMs: sinceHeartbeatMs, stale, latest: new Map(state.latest) }
  }

  /** `counts`: number of points by the key of the metric's entries, for each report. */
  #fold({ state, series }: StoredJob, report: SeriesTelemetry, counts: Map<string, number[]>): void {
    const added = series.reduce(state, report, this.#limits)
    const key = metricKey(report.name)
    if (added[0]) counts.set(key, [...(counts.get(key) ?? []), added[0].n])
    if (this.#telemetrySubscribed.has(state.id)) for (const increment of added) this.#telemetryListener.added(increment)
  }

  #seriesOf(id: string, name: string | null, from: number): SeriesReading | null {
    const job = this.#jobs.get(id)
    return job ? job.series.read(job.state, name, from) : null
  }

  #append(job: StoredJob, event: JobEvent, n?: number): void {
    const { state } = job
    const seq = state.seq + 1
    const attempt = event.clears === 'round' ? 1 : state.attempt + (event.clears === 'attempt' ? 1 : 0)
    const count = n === undefined ? {} : { n }
    const message = event.key === 'status' ? { ...event.message, attempt, seq } : { ...event.message, ...count, seq }
    const { key, class: entryClass, to, clears } = event
    const head = { id: state.id, generation: state.generation, seq, class: entryClass, key, ...(to && { to }), ...(clears && { clears }) }
    const entry: Entry = { ...head, body: Buffer.from(JSON.stringify(message)) }
    advance(state, entry)
    if (clears === 'round') {
      job.writer = { token: 0, n: 0, seq: 0 }
      job.heartbeatAt = null
    }
    if (entryClass !== 'transient') {
      job.persisted += 1
      const log = [...job.log, entry]
      const older = log.splice(0, Math.max(0, log.length - this.#limits.maxLogEntries))
      job.log = log
      job.kept = [...job.kept, ...older.filter(({ key }) => !key.startsWith('metric:'))].slice(-this.#limits.maxLogEntries)
    }
    if (this.#subscribed.has(state.id)) this.#listener.entry(entry)
  }

  /** Whether persisted entries after a seq were trimmed from the log. */
  #isTrimmed(job: StoredJob, after: number): boolean {
    const oldest = job.log[0]?.seq
    return job.log.length < job.persisted && (oldest === undefined || after < oldest - 1)
  }
}
