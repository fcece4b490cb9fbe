import { type ArtifactMessage, type ArtifactsMessage, isArtifactMessage } from '../client/artifact-list.js'
import { checkQuery, DEFAULT_LIMIT, type Given, LIST_OPTIONS, type ListOptions, nameOf, type WordsUpdate } from '../client/client.js'
import { isSeriesMessage, type SeriesMessage } from '../client/curves.js'
import type { Received } from '../client/hub-socket.js'
import type { JobSnapshot, LiveMessage } from '../client/job-view.js'
import { isLogMessage, type LogMessage } from '../client/log-fold.js'
import type { LiveProcessMessage } from '../client/process-view.js'
import { hasSeq } from '../client/proof.js'
import { type Config, loadConfig, SETTINGS, settingsOf } from '../config/config.js'
import { systemClock } from '../core/clock.js'
import type { DefinedKind } from '../core/define-kind.js'
import { processDialect, processFinal, processView, runDialect } from '../core/dialect.js'
import type { Position } from '../core/entry.js'
import type { JobBrief, JobState } from '../core/job-state.js'
import { invalidOption, rejectUnknownOptions } from '../core/known-options.js'
import type { Hub } from '../hub/hub.js'
import type { TelemetryOptions } from '../hub/scopes/subscription-handle.js'
import { JobService } from '../jobs/job-service.js'
import { filterOf } from '../jobs/list-query.js'
import type { WordsChanges } from '../jobs/words.js'
import type { InputOf, KindName, RunKindName } from '../kinds/index.js'
import { RuncastError } from '../protocol/codes.js'
import { isJobId } from '../protocol/job-id.js'
import { plainJson } from '../protocol/json.js'
import type { ProcessSnapshot, ProcessView } from '../protocol/process-messages.js'
import type { Status } from '../protocol/status.js'
import { knownKinds } from './define-kind.js'
import { JobStream } from './job-stream.js'
import { knownName } from './own-kinds.js'
import { type Adapters, buildAdapters, buildHub, type Log } from './parts.js'

export interface JobsOptions {
  /** `redis://…` or `rediss://…`, the same as for hubs and workers. */
  readonly redisUrl: string
  /** Prefix of every key, like `REDIS_PREFIX`. */
  readonly redisPrefix?: string
  /** The default owner of submitted jobs. */
  readonly owner?: string
  /** Settings by name, also those of your own kinds, if hubs and workers have other values than the defaults. */
  readonly settings?: Partial<Config> & Readonly<Record<string, unknown>>
  /** Receives errors of the connections. Failed calls reject as well. */
  readonly onFault?: (error: unknown) => void
}

export type JobInput<K extends KindName> = Given<InputOf<K>>
export type OwnJobInput<K extends DefinedKind> = K extends DefinedKind<infer I> ? Given<I> : never

export interface SubmitOptions {
  /** Default: a UUIDv7. */
  readonly id?: string
  /** The owner of the job. Default: `owner` of the `JobsOptions`. */
  readonly owner?: string
  /** For runs: the solver. Default: the built-in one. Others come from `settings.SOLVERS_FILE`. */
  readonly solver?: string
  /** Time limit from the first start, over all attempts. Default: the limit of the kind. */
  readonly timeoutS?: number
  /** The job is queued, and starts so many ms after its submit or later; at most a week. */
  readonly delayMs?: number
  /** Among the jobs of its owner: 0 (the default) to 9, higher first. */
  readonly priority?: number
  /** W3C Trace Context, so that the job belongs to the caller's trace. */
  readonly traceparent?: string
  /** One line of at most 200 characters. No part of the input, like tags and metadata. */
  readonly title?: string
  /** At most 16 tags of at most 64 characters. */
  readonly tags?: readonly string[]
  /** Any fields, at most 4 KiB as JSON. */
  readonly metadata?: object
}

/** A job as a process, whatever its kind. `final` is its final message, or null. */
export type JobStatus = ProcessView & { readonly owner: string; readonly final: Readonly<Record<string, unknown>> | null }

/** Messages of a watched job, as on its own socket: a snapshot, then each message. */
export type JobMessage<K extends KindName | DefinedKind = KindName> = K extends RunKindName | DefinedKind<unknown, 'run'>
  ? JobSnapshot | LiveMessage
  : ProcessSnapshot | LiveProcessMessage

/** Messages of a watch with `log`, `series` or `artifacts`, in the dialect of the kind. They have no `seq`. */
export type TelemetryMessage = LogMessage | SeriesMessage | ArtifactMessage | ArtifactsMessage

export interface ListJobsOptions extends ListOptions {
  /** The owner of the jobs. Default: the owner of the `JobsOptions`. */
  readonly owner?: string
}

/** Newest first. May hold fewer jobs than `limit`, also none: the list ends where `cursor` is null. */
export interface JobStatusPage {
  readonly jobs: readonly JobStatus[]
  readonly cursor: string | null
}

export interface WatchJobOptions {
  /** The position to resume from: `epoch` of the last snapshot and `seq` of the last message. */
  readonly after?: Position
  /** Ends the watch, which rejects with the signal's reason. */
  readonly signal?: AbortSignal
}

/** What a watch also yields: `TelemetryMessage`. */
export interface WatchTelemetryOptions {
  /** The lines of the job's log that are kept, then live ones, up to the last one. */
  readonly log?: boolean
  /** The curves of its metrics. */
  readonly series?: boolean
  /** The artifacts of the current attempt, then each one as it is stored. */
  readonly artifacts?: boolean
}

/**
 * Submits, lists, reads, watches, cancels and retries jobs over Redis alone, without the HTTP interface of a hub. Each
 * instance has its own connections. It sees the jobs of all users. All members reject with a `RuncastError`.
 */
export class Jobs {
  readonly #options: JobsOptions
  readonly #adapters: Adapters
  readonly #hub: Hub
  readonly #service: JobService
  readonly #streams = new Set<JobStream>()
  #closing: Promise<void> | undefined

  constructor(options: JobsOptions) {
    rejectUnknownOptions(options, ['redisUrl', 'redisPrefix', 'owner', 'settings', 'onFault'])
    const kinds = knownKinds()
    rejectUnknownOptions(options.settings ?? {}, Object.keys(settingsOf(kinds)), '/settings')
    const { redisUrl, redisPrefix, settings, onFault = () => {} } = options
    const config = {
      ...loadConfig({}, [], true, kinds),
      ...settings,
      REDIS_URL: required('redisUrl', redisUrl, SETTINGS.REDIS_URL),
      REDIS_PREFIX: required('redisPrefix', redisPrefix ?? SETTINGS.REDIS_PREFIX.fallback, SETTINGS.REDIS_PREFIX),
    }
    this.#options = options
    const log: Log = {
      info: () => {},
      warn: (fields) => 'err' in fields && onFault(fields.err),
      error: (fields) => onFault('err' in fields ? fields.err : fields),
    }
    this.#adapters = buildAdapters(config, log, kinds)
    this.#hub = buildHub(config, this.#adapters, log)
    this.#service = new JobService(this.#adapters)
  }

  /** Enqueues a job and returns its state. The same id and input by the same owner enqueue nothing again. */
  async submit<K extends KindName>(kind: K, input: JobInput<K>, options?: SubmitOptions): Promise<JobStatus>
  /** The same for a custom kind, given as the value that `defineKind` returned. */
  async submit<K extends DefinedKind>(kind: K, input: OwnJobInput<K>, options?: SubmitOptions): Promise<JobStatus>
  async submit(named: string | DefinedKind, input: unknown, options: SubmitOptions = {}): Promise<JobStatus> {
    this.#assertOpen()
    rejectUnknownOptions(options, ['id', 'owner', 'solver', 'timeoutS', 'delayMs', 'priority', 'traceparent', 'title', 'tags', 'metadata'])
    const kind = nameOf(named)
    const { owner: asked, ...given } = options
    const owner = this.#ownerOf(asked)
    // A copy, since the caller may change the input before it is stored.
    const plain = plainJson(input, '/input', 'exact')
    return statusOf(await this.#ask(() => this.#service.submit({ ...given, kind, input: plain, owner })))
  }

  /** Requests cancellation and returns the current status. Rejects with `not_found` or `already_final`. */
  async cancel(id: string): Promise<Status> {
    return this.#ask(() => this.#service.cancel(id, () => true))
  }

  /**
   * Pauses a job in steps. Child jobs that a worker computes run to their end; waiting ones are removed from the queue.
   * Returns `paused`. Rejects with `not_found` or `not_running`.
   */
  async pause(id: string): Promise<Status> {
    return this.#ask(() => this.#service.pause(null, id, () => true, 'paused'))
  }

  /** Resumes a paused job. Returns `running`. Rejects with `not_found` or `not_running`. */
  async resume(id: string): Promise<Status> {
    return this.#ask(() => this.#service.pause(null, id, () => true, 'running'))
  }

  /**
   * Starts a failed or cancelled job again and returns its status. Rejects with `not_found`, `not_final` or `quota`,
   * with `is_part` for a child job, and with `is_owned` for a job that its owner computes.
   */
  async retry(id: string): Promise<Status> {
    return (await this.#ask(() => this.#service.retry(id, () => true))).status
  }

  /** A page of the jobs of one user, newest first. */
  async list({ owner, ...options }: ListJobsOptions = {}): Promise<JobStatusPage> {
    this.#assertOpen()
    rejectUnknownOptions(options, ['owner', ...LIST_OPTIONS])
    checkQuery(options)
    const { kind, limit = DEFAULT_LIMIT, cursor: from, ...query } = options
    const { phase, filter } = filterOf(query, '')
    const named = kind === undefined ? null : knownName(this.#adapters.kinds, nameOf(kind))
    const { jobs, cursor = null } = await this.#ask(() => this.#service.list(this.#ownerOf(owner), named, limit, from, phase, filter))
    return { jobs: jobs.map(statusOf), cursor }
  }

  /**
   * Changes title, tags or metadata of a job, also after its end: an absent field stays as it is, null removes it.
   * Rejects with `not_found` or `invalid`.
   */
  async update(id: string, words: WordsUpdate): Promise<JobStatus> {
    rejectUnknownOptions(words, ['title', 'tags', 'metadata'])
    // `update` checks them
    return statusOf(await this.#ask(() => this.#service.update(null, id, () => true, words as WordsChanges)))
  }

  /** The input of a job with the defaults of its kind. Rejects with `not_found`. */
  async input(id: string): Promise<Readonly<Record<string, unknown>>> {
    return JSON.parse((await this.#state(id)).input) as Record<string, unknown>
  }

  /** The current state of a job. Rejects with `not_found`. */
  async read(id: string): Promise<JobStatus> {
    return statusOf(await this.#state(id))
  }

  /**
   * The state of a job, then each message as it arrives, up to the final one. `K` is the kind if known: its name, or
   * `typeof` the value that `defineKind` returned. A slow reader gets only the newest progress, and past
   * `MAX_OUTBOX_BYTES` a snapshot with `resync`. Leaving the loop ends the watch. Rejects with `not_found`, with
   * `overloaded` if Redis cannot be reached (watch again with `after`), and with `going_away` after `close`.
   */
  watch<K extends KindName | DefinedKind = KindName>(id: string, options?: WatchJobOptions): AsyncGenerator<JobMessage<K>, void>
  /** The same with what the job reports beside these messages. The watch ends after the last of both. */
  watch<K extends KindName | DefinedKind = KindName>(
    id: string,
    options: WatchJobOptions & WatchTelemetryOptions,
  ): AsyncGenerator<JobMessage<K> | TelemetryMessage, void>
  async *watch<K extends KindName | DefinedKind = KindName>(
    id: string,
    options: WatchJobOptions & WatchTelemetryOptions = {},
  ): AsyncGenerator<JobMessage<K> | TelemetryMessage, void> {
    rejectUnknownOptions(options, ['after', 'signal', 'log', 'series', 'artifacts'])
    const { after, signal, log, series, artifacts } = options
    signal?.throwIfAborted()
    const { kind } = await this.#state(id)
    signal?.throwIfAborted()
    this.#assertOpen()
    const dialect = kind.dialect === 'run' ? runDialect : processDialect
    const telemetry: TelemetryOptions = {
      ...(log && { log: { after: { n: 0, epoch: null } } }),
      ...(series && { series }),
      ...(artifacts && { artifacts }),
    }
    const stream = new JobStream(this.#hub, systemClock, { id, kind: kind.name, dialect, telemetry, ...(after && { after }) })
    const abort = () => stream.close(signal?.reason)
    this.#streams.add(stream)
    signal?.addEventListener('abort', abort, { once: true })
    try {
      await stream.open()
      for (;;) {
        const message = await stream.next()
        if (message === null) return
        if (hasSeq(message))
          yield message as JobMessage<K> // in the dialect of this kind
        else if (isTelemetry(message)) yield message
      }
    } finally {
      signal?.removeEventListener('abort', abort)
      this.#streams.delete(stream)
      stream.close()
    }
  }

  /** Ends every watch, then closes the connections. Nothing keeps the process alive after that. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    for (const stream of this.#streams) stream.close(closed())
    this.#hub.close()
    await this.#adapters.close()
  }

  async #state(id: string): Promise<JobState> {
    this.#assertOpen()
    const state = isJobId(id) ? (await this.#ask(() => this.#adapters.broker.read(id)))?.state : undefined
    if (!state) throw new RuncastError('not_found')
    return state
  }

  /** Calls once the time of Redis is known, since changes are stamped with it. Rejects with `going_away` on `close`. */
  async #ask<T>(act: () => Promise<T>): Promise<T> {
    this.#assertOpen()
    try {
      await this.#adapters.begun
      return await act()
    } catch (error) {
      this.#assertOpen()
      throw error
    }
  }

  #ownerOf(given: string | undefined): string {
    const owner = given ?? this.#options.owner
    if (owner) return owner
    throw invalidOption('owner', 'the owner of the job')
  }

  #assertOpen(): void {
    if (this.#closing) throw closed()
  }
}

/**
 * Creates a `Jobs` instance, also for programs that compute jobs themselves. The caller closes it. Throws `invalid` for
 * an invalid URL or prefix.
 */
export function createJobs(options: JobsOptions): Jobs {
  return new Jobs(options)
}

function isTelemetry(message: Received): message is TelemetryMessage {
  return isLogMessage(message) || isSeriesMessage(message) || isArtifactMessage(message)
}

function closed(): RuncastError {
  return new RuncastError('going_away', 'This Jobs instance was closed.')
}

function statusOf(state: JobBrief): JobStatus {
  return { ...processView(state), owner: state.owner, final: processFinal(state) }
}

function required(name: string, value: string, setting: { readonly read: (text: string) => string }): string {
  try {
    if (value === '') throw new TypeError('a non-empty text')
    return setting.read(value)
  } catch (error) {
    throw invalidOption(name, error instanceof Error ? error.message : String(error))
  }
}
