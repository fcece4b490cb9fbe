import { invalidOption, rejectUnknownOptions } from '../core/known-options.js'
import type { Bucket } from '../core/series.js'
import { isTraceparent } from '../core/traceparent.js'
import { RuncastError } from '../protocol/codes.js'
import { plainJson } from '../protocol/json.js'
import type { LogLine } from '../protocol/log-messages.js'
import type { ProcessSnapshot } from '../protocol/process-messages.js'
import { isFinal, isStatus, STATUSES, type Status } from '../protocol/status.js'
import { isDelay, isPriority, MAX_DELAY_MS, MAX_PRIORITY } from '../protocol/turn.js'
import type { JobArtifact } from './download.js'
import type { RunningJob } from './final-watch.js'
import { type EventsOptions, type JobEvent, JobEvents, type SocketAccess } from './job-events.js'
import { JobFailed } from './job-failed.js'
import { type JobInfo, jobInfoOf, type WireJob } from './job-info.js'
import { JobLog, type LogOptions } from './job-log.js'
import type { JobSnapshot, LiveMessage } from './job-view.js'
import type { NumberedLine } from './log-fold.js'
import type { LiveProcessMessage } from './process-view.js'
import { type ProcessesWatch, type WatchProcessesOptions, watchProcesses } from './watch-processes.js'

const MIN_TIMEOUT_MS = 1000
const MAX_TIMEOUT_MS = 604_800_000

/**
 * The part of a kind that a client needs: the value that `defineKind` returns. `I`: the input of its jobs; `D`: the
 * dialect of their events.
 */
export interface KindRef<I = unknown, D extends 'run' | 'process' = 'run' | 'process'> {
  readonly name: string
  readonly dialect: D
  /** For the type only; the field does not exist at run time. */
  readonly '~input'?: I
}

/** Makes fields optional, since some have defaults. A missing field without a default is rejected with its path. */
export type Given<T> = T extends readonly unknown[] ? T : T extends object ? { readonly [N in keyof T]?: Given<T[N]> } : T

/** The input of a submit: typed if the kind is a value, any object if it is a name. */
export type InputFor<K extends KindRef | string> = K extends KindRef<infer I> ? Given<I> : object

/** The events of `events()`: the messages of the kind's dialect. */
export type EventOf<K extends KindRef | string> =
  K extends KindRef<unknown, 'run'>
    ? JobSnapshot | LiveMessage
    : K extends KindRef<unknown, 'process'>
      ? ProcessSnapshot | LiveProcessMessage
      : JobEvent

/** The result of a job, as the work of its kind returns it. */
export type ResultOf<K extends KindRef | string> =
  K extends KindRef<unknown, 'run'>
    ? { readonly metrics_summary: Readonly<Record<string, number>>; readonly [field: string]: unknown }
    : Readonly<Record<string, unknown>>

export interface JobOptions {
  /**
   * `[A-Za-z0-9][A-Za-z0-9_.-]{0,127}`, not only digits. Default: a UUIDv7. The same id and input mean the same job.
   */
  readonly id?: string
  /** Time limit in ms from the first start, over all attempts; at least 1000. Default: the limit of the kind. */
  readonly timeoutMs?: number
  /** A configured solver. Default: the kind's own computation. */
  readonly solver?: string
  /** 1 to 255 visible ASCII characters. The same key, kind and input mean the same job. An `id` takes precedence. */
  readonly idempotencyKey?: string
  /** The job is queued, and starts so many ms after its submit or later; at most a week. */
  readonly delayMs?: number
  /** Among the user's jobs: 0 (the default) to 9, higher first. */
  readonly priority?: number
  /** W3C Trace Context, so that the job belongs to the caller's trace. */
  readonly traceparent?: string
  /** What people call the job: one line of at most 200 characters. No part of the input, like tags and metadata. */
  readonly title?: string
  /** At most 16 tags of at most 64 characters. */
  readonly tags?: readonly string[]
  /** Any fields, at most 4 KiB as JSON. */
  readonly metadata?: object
}

/** Changes of words about a job. A field that is absent stays as it is; null removes it. */
export interface WordsUpdate {
  readonly title?: string | null
  readonly tags?: readonly string[] | null
  readonly metadata?: object | null
}

export interface ListOptions {
  readonly kind?: KindRef | string
  /** `active`: jobs that have not ended. `final`: jobs that have. Or one status. */
  readonly status?: 'active' | 'final' | Status
  readonly tag?: string
  /** Children of this job; `none`: jobs that are no children. */
  readonly parent?: string
  /** Submitted at this time (ISO 8601) or later. */
  readonly since?: string
  /** Submitted at this time (ISO 8601) or earlier. */
  readonly until?: string
  /** Beginning of the title, in any case. */
  readonly title?: string
  /** 1 to 200; default 50. */
  readonly limit?: number
  /** `cursor` of the previous page. */
  readonly cursor?: string
}

/** Newest first. A page may contain fewer jobs than `limit`, even none. The list ends when `cursor` is null. */
export interface JobPage {
  readonly jobs: readonly JobInfo[]
  readonly cursor: string | null
}

export type ClientWatchOptions = Pick<
  WatchProcessesOptions,
  'onMessage' | 'onLog' | 'onArtifact' | 'onHealth' | 'onEnd' | 'maxFinished' | 'backoffMs'
>

export interface LogPageOptions {
  /** Only lines with a lower number; default: the newest. */
  readonly before?: number
  /** 1 to 1000; default 200. */
  readonly limit?: number
}

/** Consecutive lines of the log of a job. */
export interface LogPage {
  readonly lines: readonly NumberedLine[]
  /** Names the log that the numbers count in: another execution has another one. */
  readonly epoch: string
  /** Number of the oldest line that is kept, and of the newest. */
  readonly oldest: number
  readonly last: number
  /** `before` of the next, older page; null on the last one. */
  readonly nextBefore: number | null
  /** Whether the execution has ended: no more lines follow `last`. */
  readonly isComplete: boolean
}

/** A page of the log as hubs answer it. */
export interface WireLogPage {
  readonly epoch: string
  readonly oldest: number
  readonly last: number
  readonly first: number
  readonly lines: readonly LogLine[]
  readonly next_before: number | null
  readonly complete: boolean
}

export type JobAction = 'cancel' | 'retry' | 'pause' | 'resume'

const JOB_OPTIONS = [
  ...['id', 'timeoutMs', 'solver', 'idempotencyKey', 'delayMs', 'priority', 'traceparent'],
  ...['title', 'tags', 'metadata'],
] as const

/** A submit with the field names of the wire. */
export interface WireSubmission {
  readonly kind: string
  readonly input: unknown
  readonly id?: string
  readonly solver?: string
  readonly timeoutS?: number
  readonly delayMs?: number
  readonly priority?: number
  readonly idempotencyKey?: string
  readonly traceparent?: string
  readonly title?: string
  readonly tags?: readonly string[]
  readonly metadata?: object
}

/** The curve of a metric without its buckets: as in the list of a hub. */
export interface WireSeries {
  readonly metric_name: string
  readonly unit: string
  /** What x is: the `step` of the reports, or seconds since the start of the attempt. */
  readonly x: 'step' | 'seconds'
  /** Number of points. */
  readonly n: number
  /** Points per bucket, a power of two; the last bucket may have fewer. */
  readonly k: number
  /** Names the attempt that the points belong to. */
  readonly epoch: string
}

/** The curve of a metric as a hub returns it: at most 2,000 buckets. */
export interface WireCurve extends WireSeries {
  readonly buckets: readonly Bucket[]
}

/** What a client talks to: a hub over HTTP, or Redis. All members reject with a `RuncastError`. */
export interface Backend {
  submit(submission: WireSubmission): Promise<{ readonly id: string }>
  read(id: string): Promise<WireJob>
  list(
    query: Omit<ListOptions, 'kind'> & { readonly kind?: string },
  ): Promise<{ readonly jobs: readonly WireJob[]; readonly cursor: string | null }>
  /** The normalised input. */
  input(id: string): Promise<unknown>
  update(id: string, words: WordsUpdate): Promise<WireJob>
  act(id: string, action: JobAction): Promise<{ readonly status: Status }>
  artifacts(id: string): Promise<readonly JobArtifact[]>
  log(id: string, query: LogPageOptions): Promise<WireLogPage>
  download(id: string, name: string, signal?: AbortSignal): AsyncIterable<Uint8Array>
  /** The curves of the job, without their buckets. */
  series(id: string): Promise<{ readonly series: readonly WireSeries[] }>
  /** Rejects with `not_found` for a metric without a curve. */
  curve(id: string, metric: string): Promise<WireCurve>
  /** Access for a socket; called before each one is opened. */
  sockets(): Promise<SocketAccess>
  /** Resolves when a job that was seen running has ended. */
  ended(job: RunningJob, signal?: AbortSignal): Promise<void>
  /** Rejects all waiting calls and releases everything. */
  close(reason: RuncastError): Promise<void>
}

/**
 * Submits, lists, follows and controls the jobs of one user, in the same way over Redis and over a hub. Members reject
 * with a `RuncastError` for errors of the hub or Redis. Connects on first use. Nothing keeps the process alive after
 * `close`.
 */
export class Client {
  readonly #backend: Backend
  readonly #open = new Set<{ close(error?: unknown): void }>()
  #closing: Promise<void> | undefined

  /** Called by `createClient`. */
  constructor(backend: Backend) {
    this.#backend = backend
  }

  /**
   * Enqueues a job. Rejects with `invalid` and the `issues` of the input, with `other_input` or `id_taken` if the id is
   * in use, and with `quota`.
   */
  async submit<K extends KindRef | string>(kind: K, input: InputFor<K>, options: JobOptions = {}): Promise<JobHandle<K>> {
    this.#assertOpen()
    rejectUnknownOptions(options, JOB_OPTIONS)
    const { timeoutMs, ...rest } = options
    const given = { ...rest, ...(rest.metadata && { metadata: plainMetadata(rest.metadata) }) }
    checkOption(
      'timeoutMs',
      isIn(timeoutMs ?? MIN_TIMEOUT_MS, MIN_TIMEOUT_MS, MAX_TIMEOUT_MS),
      `ms from ${MIN_TIMEOUT_MS} to ${MAX_TIMEOUT_MS}`,
    )
    checkOption('delayMs', isDelay(given.delayMs ?? 0), `an integer from 0 to ${MAX_DELAY_MS} ms`)
    checkOption('priority', isPriority(given.priority ?? 0), `an integer from 0 to ${MAX_PRIORITY}`)
    checkOption('traceparent', given.traceparent === undefined || isTraceparent(given.traceparent), 'a traceparent of W3C Trace Context')
    checkOption('idempotencyKey', /^[!-~]{1,255}$/.test(given.idempotencyKey ?? '-'), '1 to 255 visible ASCII characters')
    // A copy, since the caller may change the input before it is sent.
    const plain = plainJson(input, '/input', 'exact')
    const submission = { ...given, kind: nameOf(kind), input: plain, ...(timeoutMs !== undefined && { timeoutS: timeoutMs / 1000 }) }
    const { id } = await this.#backend.submit(submission)
    return this.job<K>(id)
  }

  /** A handle for a job, without checking that it exists. `K`: `typeof` its kind, if known. */
  job<K extends KindRef | string = string>(id: string): JobHandle<K> {
    const track = <T extends { close(error?: unknown): void }>(build: (release: () => void) => T): T => {
      this.#assertOpen()
      const tracked: T = build(() => this.#open.delete(tracked))
      this.#open.add(tracked)
      return tracked
    }
    return new JobHandle<K>(id, this.#backend, track, () => this.#assertOpen())
  }

  /** A handle for an existing job. Rejects with `not_found`. */
  async get<K extends KindRef | string = string>(id: string): Promise<JobHandle<K>> {
    const job = this.job<K>(id)
    await job.status()
    return job
  }

  /** A page of the user's jobs, newest first. */
  async list(options: ListOptions = {}): Promise<JobPage> {
    this.#assertOpen()
    rejectUnknownOptions(options, LIST_OPTIONS)
    const { kind, ...query } = options
    checkQuery(query)
    const { jobs, cursor } = await this.#backend.list({ ...query, ...(kind !== undefined && { kind: nameOf(kind) }) })
    return { jobs: jobs.map((job) => jobInfoOf(job)), cursor }
  }

  /**
   * Watches all jobs of the user, in the process dialect; see `ProcessesWatch`. It ends with the client at the latest.
   */
  async watch(options: ClientWatchOptions = {}): Promise<ProcessesWatch> {
    this.#assertOpen()
    rejectUnknownOptions(options, ['onMessage', 'onLog', 'onArtifact', 'onHealth', 'onEnd', 'maxFinished', 'backoffMs'])
    const { url, token, WebSocket } = await this.#backend.sockets()
    this.#assertOpen()
    const { onEnd } = options
    const watch = watchProcesses({
      ...options,
      ...(WebSocket && { WebSocket }),
      url: url('/ws'),
      ...(token && { token }),
      onEnd: (reason) => {
        this.#open.delete(watch)
        onEnd?.(reason)
      },
    })
    this.#open.add(watch)
    return watch
  }

  /** Closes everything that this client has open; pending calls reject with `going_away`. Safe to call twice. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const reason = closed()
    for (const open of this.#open) open.close(reason)
    await this.#backend.close(reason)
  }

  #assertOpen(): void {
    if (this.#closing) throw closed()
  }
}

type Track = <T extends { close(error?: unknown): void }>(build: (release: () => void) => T) => T

/** A handle for one job. It holds no resources, so it need not be closed. `K`: its kind. */
export class JobHandle<K extends KindRef | string = string> {
  readonly id: string
  readonly #backend: Backend
  readonly #track: Track
  readonly #assertOpen: () => void

  /** Called by `Client`. */
  constructor(id: string, backend: Backend, track: Track, assertOpen: () => void) {
    this.id = id
    this.#backend = backend
    this.#track = track
    this.#assertOpen = assertOpen
  }

  /** The current state of the job. Rejects with `not_found`. */
  async status(): Promise<JobInfo<ResultOf<K>>> {
    this.#assertOpen()
    return jobInfoOf(await this.#backend.read(this.id))
  }

  /**
   * The events of the job as on the wire: a snapshot of its state, then each event in order, up to the final one of
   * this execution. Each persisted event arrives exactly once; of transient ones (progress) a slow reader gets the
   * newest. Lost connections are replaced, and the events resume without a gap. If events are lost nevertheless, a
   * snapshot with `recovered: false` replaces them. Leaving the loop releases everything. Rejects with `not_found`,
   * with the reason of `signal`, or with the reason for which the hub ended the connection for good.
   */
  events(options: EventsOptions = {}): AsyncIterableIterator<EventOf<K>, undefined> {
    rejectUnknownOptions(options, ['after', 'signal'])
    let isKnown = false
    const sockets = async () => {
      // Fails at once if the job cannot be read; a socket retries for a while, also that of a slow reader later on.
      if (!isKnown) await this.#backend.read(this.id)
      isKnown = true
      return this.#backend.sockets()
    }
    return this.#track((release) => new JobEvents<EventOf<K> & JobEvent>(this.id, sockets, options, release))
  }

  /** The metrics of the current attempt that have a curve, in the order in which they began. */
  async series(): Promise<readonly WireSeries[]> {
    this.#assertOpen()
    return (await this.#backend.series(this.id)).series
  }

  /** The curve of a metric, with its buckets. Rejects with `not_found`. */
  async curve(metric: string): Promise<WireCurve> {
    this.#assertOpen()
    return this.#backend.curve(this.id, metric)
  }

  /**
   * The lines of the job's log: those that are kept, then live ones, each once and in order, up to the last one of
   * this execution. Lost connections are replaced, and the lines resume without a gap. Missing numbers are of lines
   * that were not kept: the job wrote more than the log holds. Leaving the loop releases everything. Rejects as
   * `events` does, and with `no_route` if the hub is of a version without logs.
   */
  log(options: LogOptions = {}): JobLog {
    rejectUnknownOptions(options, ['after', 'signal'])
    let isKnown = false
    const sockets = async () => {
      // Fails at once if the job cannot be read, or the hub has no logs.
      if (!isKnown) await this.#backend.log(this.id, { limit: 1 })
      isKnown = true
      return this.#backend.sockets()
    }
    return this.#track((release) => new JobLog(this.id, sockets, options, release))
  }

  /** A page of the lines of the job's log, the newest page first. Rejects with `not_found`. */
  async logPage(options: LogPageOptions = {}): Promise<LogPage> {
    this.#assertOpen()
    rejectUnknownOptions(options, ['before', 'limit'])
    const { before = 1, limit = 1 } = options
    checkOption('before', Number.isSafeInteger(before) && before >= 1, 'an integer from 1')
    checkOption('limit', Number.isInteger(limit) && isIn(limit, 1, 1000), 'an integer from 1 to 1000')
    const { first, lines, next_before: nextBefore, complete: isComplete, epoch, oldest, last } = await this.#backend.log(this.id, options)
    return { lines: lines.map((line, i) => ({ ...line, n: first + i })), epoch, oldest, last, nextBefore, isComplete }
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<EventOf<K>, undefined> {
    return this.events()
  }

  /**
   * Waits for the end of the job and resolves with its result. Rejects with `JobFailed` if it fails or is cancelled,
   * with `not_found`, or with the reason of `signal`.
   */
  async result({ signal, ...rest }: { readonly signal?: AbortSignal } = {}): Promise<ResultOf<K>> {
    rejectUnknownOptions(rest, ['signal'])
    for (;;) {
      const { status, position, result, failure } = await this.status()
      signal?.throwIfAborted()
      if (failure) throw new JobFailed(this.id, failure)
      if (result) return result
      if (isFinal(status)) throw new RuncastError('internal', `The final event of the job ${this.id} is missing.`)
      await this.#backend.ended({ id: this.id, position }, signal)
    }
  }

  /** The artifacts of the current attempt, by name. Rejects with `not_found`. */
  async artifacts(): Promise<readonly JobArtifact[]> {
    this.#assertOpen()
    return this.#backend.artifacts(this.id)
  }

  /**
   * The content of an artifact, in pieces. Over a hub, a download that breaks off continues where it was. Rejects with
   * `not_found`, also for a link, and with the reason of `signal`.
   */
  download(name: string, { signal, ...rest }: { readonly signal?: AbortSignal } = {}): AsyncIterable<Uint8Array> {
    rejectUnknownOptions(rest, ['signal'])
    this.#assertOpen()
    return this.#backend.download(this.id, name, signal)
  }

  /** Its input with the defaults of its kind. Rejects with `not_found`. */
  async input(): Promise<Readonly<Record<string, unknown>>> {
    this.#assertOpen()
    return (await this.#backend.input(this.id)) as Readonly<Record<string, unknown>> // inputs are objects
  }

  /**
   * Changes title, tags or metadata, also after the end, and returns the state. Rejects with `invalid` and the
   * `issues`.
   */
  async update({ title, tags, metadata, ...rest }: WordsUpdate): Promise<JobInfo<ResultOf<K>>> {
    this.#assertOpen()
    rejectUnknownOptions(rest, [])
    const words = {
      ...(title !== undefined && { title }),
      ...(tags !== undefined && { tags }),
      ...(metadata !== undefined && { metadata: metadata && plainMetadata(metadata) }),
    }
    return jobInfoOf(await this.#backend.update(this.id, words))
  }

  /** Requests cancellation and returns the current status. Rejects with `already_final`. */
  cancel(): Promise<Status> {
    return this.#act('cancel')
  }

  /** Runs a failed or cancelled job again and returns the current status. Rejects with `not_final` or `quota`. */
  retry(): Promise<Status> {
    return this.#act('retry')
  }

  /**
   * Pauses a job in steps, such as an optimization. Child jobs that a worker computes run to their end.
   * Rejects with `not_running`, also for any other kind.
   */
  pause(): Promise<Status> {
    return this.#act('pause')
  }

  /** Resumes a paused job. Rejects with `not_running`. */
  resume(): Promise<Status> {
    return this.#act('resume')
  }

  async #act(action: JobAction): Promise<Status> {
    this.#assertOpen()
    return (await this.#backend.act(this.id, action)).status
  }
}

/** Names of `ListOptions`. */
export const LIST_OPTIONS = ['kind', 'status', 'tag', 'parent', 'since', 'until', 'title', 'limit', 'cursor'] as const

/** Default page size. */
export const DEFAULT_LIMIT = 50

/** Throws `invalid` for an option of a list with an invalid value. */
export function checkQuery({ status = 'active', limit = 1, cursor = '0:a' }: Omit<ListOptions, 'kind'>): void {
  checkOption('status', ['active', 'final'].includes(status) || isStatus(status), `active, final or one of ${STATUSES.join(', ')}`)
  checkOption('limit', Number.isInteger(limit) && isIn(limit, 1, 200), 'an integer from 1 to 200')
  checkOption('cursor', /^[0-9]{1,16}:[A-Za-z0-9_.-]{1,128}$/.test(cursor), 'the cursor of the previous page')
}

/** A copy, as JSON holds it. */
function plainMetadata(metadata: object): object {
  return plainJson(metadata, '/metadata', 'double') as object // still an object, by the schema of the hub
}

export function nameOf(kind: KindRef | string): string {
  return typeof kind === 'string' ? kind : kind.name
}

function isIn(value: number, min: number, max: number): boolean {
  return value >= min && value <= max
}

function checkOption(option: string, isValid: boolean, expected: string): void {
  if (!isValid) throw invalidOption(option, expected)
}

function closed(): RuncastError {
  return new RuncastError('going_away', 'This client was closed; create a new one.')
}
