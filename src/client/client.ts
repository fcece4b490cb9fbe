import { refuseUnknown } from '../core/known-options.js'
import { RuncastError } from '../protocol/codes.js'
import { plainJson } from '../protocol/json.js'
import type { ProcessSnapshot } from '../protocol/process-messages.js'
import { isFinal, type Status } from '../protocol/status.js'
import type { RunningJob } from './final-watch.js'
import { type EventsOptions, type JobEvent, JobEvents, type SocketAccess } from './job-events.js'
import { JobFailed } from './job-failed.js'
import { type JobInfo, jobInfoOf, type WireJob } from './job-info.js'
import type { JobSnapshot, LiveMessage } from './job-view.js'
import type { LiveProcessMessage } from './process-view.js'
import { type ProcessesWatch, type WatchProcessesOptions, watchProcesses } from './watch-processes.js'

const MIN_TIMEOUT_MS = 1000
const MAX_TIMEOUT_MS = 604_800_000

/** A kind as far as a client needs it: the value that `defineKind` returns. `I`: the input of its jobs; `D`: the dialect of their events. */
export interface KindRef<I = unknown, D extends 'run' | 'process' = 'run' | 'process'> {
  readonly name: string
  readonly dialect: D
  /** Of the type alone: there is no such field. */
  readonly '~input'?: I
}

/** Fields with a default may be left out; what else is missing is refused with its path. */
export type Given<T> = T extends readonly unknown[] ? T : T extends object ? { readonly [N in keyof T]?: Given<T[N]> } : T

/** What is submitted for a kind: its own input, where the kind is a value; any object, where it is a name. */
export type InputFor<K extends KindRef | string> = K extends KindRef<infer I> ? Given<I> : object

/** What `events()` gives: the messages of the dialect of the kind. */
export type EventOf<K extends KindRef | string> =
  K extends KindRef<unknown, 'run'>
    ? JobSnapshot | LiveMessage
    : K extends KindRef<unknown, 'process'>
      ? ProcessSnapshot | LiveProcessMessage
      : JobEvent

/** What a job has computed: what the work of its kind returns. */
export type ResultOf<K extends KindRef | string> =
  K extends KindRef<unknown, 'run'>
    ? { readonly metrics_summary: Readonly<Record<string, number>>; readonly [field: string]: unknown }
    : Readonly<Record<string, unknown>>

export interface JobOptions {
  /** `[A-Za-z0-9][A-Za-z0-9_.-]{0,127}`, not digits alone; a UUIDv7 without it. The same id and input again is the same job. */
  readonly id?: string
  /** How long it may take from its first start, over all attempts, in ms, 1000 or more; without it as long as its kind may. */
  readonly timeoutMs?: number
  /** Which configured solver computes it; without it the built-in one of its kind. */
  readonly solver?: string
  /** The same key, kind and input again is the same job: 1 to 255 visible ASCII characters. An id goes before it. */
  readonly idempotencyKey?: string
}

export interface ListOptions {
  readonly kind?: KindRef | string
  /** `active`: those that have not ended. `final`: those that have. */
  readonly status?: 'active' | 'final'
  /** 1 to 200; 50 without it. */
  readonly limit?: number
  /** That of the page before. */
  readonly cursor?: string
}

/** Newest first. May hold fewer jobs than `limit`, also none: the list ends where `cursor` is null. */
export interface JobPage {
  readonly jobs: readonly JobInfo[]
  readonly cursor: string | null
}

export type WatchOptions = Pick<WatchProcessesOptions, 'onMessage' | 'onEnd' | 'maxFinished' | 'backoffMs'>

export type JobAction = 'cancel' | 'retry' | 'pause' | 'resume'

/** What is submitted, by the names of the wire. */
export interface WireSubmission {
  readonly kind: string
  readonly input: unknown
  readonly id?: string
  readonly solver?: string
  readonly timeoutS?: number
  readonly idempotencyKey?: string
}

/** The other side of a client: a hub over HTTP, or Redis. All members reject with a `RuncastError`. */
export interface Backend {
  submit(submission: WireSubmission): Promise<{ readonly id: string }>
  read(id: string): Promise<WireJob>
  list(
    query: Omit<ListOptions, 'kind'> & { readonly kind?: string },
  ): Promise<{ readonly jobs: readonly WireJob[]; readonly cursor: string | null }>
  act(id: string, action: JobAction): Promise<{ readonly status: Status }>
  /** What sockets need: called before each one is opened. */
  sockets(): Promise<SocketAccess>
  /** Resolves once a job has ended that was seen running. */
  ended(job: RunningJob, signal?: AbortSignal): Promise<void>
  /** Rejects all who wait, and releases everything. */
  close(reason: RuncastError): Promise<void>
}

/**
 * Jobs of one user: submits, lists, follows and steers them, in the same way over Redis and over a hub. All members reject with a `RuncastError` for what a hub or
 * Redis denies. Connects when it is first used; nothing keeps the process alive after `close`.
 */
export class Client {
  readonly #backend: Backend
  readonly #open = new Set<{ close(error?: unknown): void }>()
  #closing: Promise<void> | undefined

  /** For `createClient`. */
  constructor(backend: Backend) {
    this.#backend = backend
  }

  /** Enqueues a job. Rejects with `invalid` and the faults of the input (`issues`), with `other_input` or `id_taken` for an id in use, with `quota`. */
  async submit<K extends KindRef | string>(kind: K, input: InputFor<K>, options: JobOptions = {}): Promise<JobHandle<K>> {
    this.#mustBeOpen()
    refuseUnknown(options, ['id', 'timeoutMs', 'solver', 'idempotencyKey'])
    const { timeoutMs, ...given } = options
    mustBe('timeoutMs', isIn(timeoutMs ?? MIN_TIMEOUT_MS, MIN_TIMEOUT_MS, MAX_TIMEOUT_MS), `ms from ${MIN_TIMEOUT_MS} to ${MAX_TIMEOUT_MS}`)
    mustBe('idempotencyKey', /^[!-~]{1,255}$/.test(given.idempotencyKey ?? '-'), '1 to 255 visible ASCII characters')
    // A copy: the caller may change the input before it has left.
    const plain = plainJson(input, '/input', 'exact')
    const submission = { ...given, kind: nameOf(kind), input: plain, ...(timeoutMs !== undefined && { timeoutS: timeoutMs / 1000 }) }
    const { id } = await this.#backend.submit(submission)
    return this.job<K>(id)
  }

  /** A job by its id, without looking whether it exists. `K`: `typeof` its kind, where that is known. */
  job<K extends KindRef | string = string>(id: string): JobHandle<K> {
    const hold = <T extends { close(error?: unknown): void }>(build: (release: () => void) => T): T => {
      this.#mustBeOpen()
      const held: T = build(() => this.#open.delete(held))
      this.#open.add(held)
      return held
    }
    return new JobHandle<K>(id, this.#backend, hold, () => this.#mustBeOpen())
  }

  /** A job that exists; rejects with `not_found`. */
  async get<K extends KindRef | string = string>(id: string): Promise<JobHandle<K>> {
    const job = this.job<K>(id)
    await job.status()
    return job
  }

  /** A page of the user's jobs, newest first. */
  async list(options: ListOptions = {}): Promise<JobPage> {
    this.#mustBeOpen()
    refuseUnknown(options, ['kind', 'status', 'limit', 'cursor'])
    const { kind, ...query } = options
    mustBe('status', ['active', 'final', undefined].includes(query.status), 'active or final')
    mustBe('limit', Number.isInteger(query.limit ?? 1) && isIn(query.limit ?? 1, 1, 200), 'an integer from 1 to 200')
    mustBe('cursor', /^[0-9]{1,16}:[A-Za-z0-9_.-]{1,128}$/.test(query.cursor ?? '0:a'), 'that of the page before')
    const { jobs, cursor } = await this.#backend.list({ ...query, ...(kind !== undefined && { kind: nameOf(kind) }) })
    return { jobs: jobs.map((job) => jobInfoOf(job)), cursor }
  }

  /** All jobs of the user, live, in the process dialect; see `ProcessesWatch`. Ends with the client at the latest. */
  async watch(options: WatchOptions = {}): Promise<ProcessesWatch> {
    this.#mustBeOpen()
    refuseUnknown(options, ['onMessage', 'onEnd', 'maxFinished', 'backoffMs'])
    const { url, token, WebSocket } = await this.#backend.sockets()
    this.#mustBeOpen()
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

  /** Ends everything that this client has open; what waits for it rejects with `going_away`. Once more does nothing more. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const reason = closed()
    for (const held of this.#open) held.close(reason)
    await this.#backend.close(reason)
  }

  #mustBeOpen(): void {
    if (this.#closing) throw closed()
  }
}

type Hold = <T extends { close(error?: unknown): void }>(build: (release: () => void) => T) => T

/** One job. Holds nothing by itself, so it need not be closed. `K`: its kind. */
export class JobHandle<K extends KindRef | string = string> {
  readonly id: string
  readonly #backend: Backend
  readonly #hold: Hold
  readonly #mustBeOpen: () => void

  /** For `Client`. */
  constructor(id: string, backend: Backend, hold: Hold, mustBeOpen: () => void) {
    this.id = id
    this.#backend = backend
    this.#hold = hold
    this.#mustBeOpen = mustBeOpen
  }

  /** The job as it is now. Rejects with `not_found`. */
  async status(): Promise<JobInfo<ResultOf<K>>> {
    this.#mustBeOpen()
    return jobInfoOf(await this.#backend.read(this.id))
  }

  /**
   * The events of the job as they go over the wire: a snapshot of its state, then each event in order, up to the final one of this execution. Each persisted event
   * comes exactly once; of transient ones (progress) a slow reader gets the newest. Connections that are lost are replaced, and the events go on where they were.
   * Where some are lost to this reader, a snapshot with `recovered: false` stands in their place. Leaving the loop releases everything.
   * Rejects with `not_found`, the reason of `signal`, or why the hub does not serve this client any more.
   */
  events(options: EventsOptions = {}): AsyncIterableIterator<EventOf<K>, undefined> {
    refuseUnknown(options, ['after', 'signal'])
    const sockets = async () => {
      // Says at once what is wrong; a socket would try again for a while.
      await this.#backend.read(this.id)
      return this.#backend.sockets()
    }
    return this.#hold((release) => new JobEvents<EventOf<K> & JobEvent>(this.id, sockets, options, release))
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<EventOf<K>, undefined> {
    return this.events()
  }

  /** Waits for the end and resolves with what the job has computed. Rejects with `JobFailed` where it fails or is cancelled, with `not_found`, or the reason of `signal`. */
  async result({ signal, ...rest }: { readonly signal?: AbortSignal } = {}): Promise<ResultOf<K>> {
    refuseUnknown(rest, ['signal'])
    for (;;) {
      const { status, position, result, failure } = await this.status()
      signal?.throwIfAborted()
      if (failure) throw new JobFailed(this.id, failure)
      if (result) return result
      if (isFinal(status)) throw new RuncastError('internal', `The final event of ${this.id} is not there.`)
      await this.#backend.ended({ id: this.id, position }, signal)
    }
  }

  /** Asks for its end and answers with its status now. Rejects with `already_final`. */
  cancel(): Promise<Status> {
    return this.#act('cancel')
  }

  /** Runs it again after it failed or was cancelled, and answers with its status now. Rejects with `not_final`, `quota`. */
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

  /** Lets a paused job go on. Rejects with `not_running`. */
  resume(): Promise<Status> {
    return this.#act('resume')
  }

  async #act(action: JobAction): Promise<Status> {
    this.#mustBeOpen()
    return (await this.#backend.act(this.id, action)).status
  }
}

function nameOf(kind: KindRef | string): string {
  return typeof kind === 'string' ? kind : kind.name
}

function isIn(value: number, min: number, max: number): boolean {
  return value >= min && value <= max
}

function mustBe(option: string, isValid: boolean, expected: string): void {
  if (!isValid)
    throw new RuncastError('invalid', { message: `${option}: expected ${expected}`, issues: [{ path: `/${option}`, expected }] })
}

function closed(): RuncastError {
  return new RuncastError('going_away', 'This client was closed.')
}
