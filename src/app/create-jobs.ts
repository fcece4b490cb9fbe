import type { Given } from '../client/client.js'
import type { JobSnapshot, LiveMessage } from '../client/job-view.js'
import type { LiveProcessMessage } from '../client/process-view.js'
import { type Config, loadConfig, SETTINGS } from '../config/config.js'
import { systemClock } from '../core/clock.js'
import type { DefinedKind } from '../core/define-kind.js'
import { processDialect, processFinal, processView, runDialect } from '../core/dialect.js'
import type { Position } from '../core/entry.js'
import type { JobState } from '../core/job-state.js'
import { refuseUnknown } from '../core/known-options.js'
import type { Hub } from '../hub/hub.js'
import { JobService } from '../jobs/job-service.js'
import type { InputOf, KindName, RunKindName } from '../kinds/index.js'
import { RuncastError } from '../protocol/codes.js'
import { isJobId } from '../protocol/job-id.js'
import { plainJson } from '../protocol/json.js'
import type { ProcessSnapshot, ProcessView } from '../protocol/process-messages.js'
import type { Status } from '../protocol/status.js'
import { knownKinds } from './define-kind.js'
import { JobStream } from './job-stream.js'
import { type Adapters, buildAdapters, buildHub, type Log } from './parts.js'

export interface JobsOptions {
  /** `redis://…` or `rediss://…`: that of the hubs and workers. */
  readonly redisUrl: string
  /** Begins every key, as `REDIS_PREFIX` does. */
  readonly redisPrefix?: string
  /** Whose jobs are submitted where `submit` does not say. */
  readonly owner?: string
  /** Where hubs and workers have other settings than the defaults (TTLs, limits): the same here. */
  readonly settings?: Partial<Config>
  /** Faults of the connections, for a log. What they cost is told to the caller as a refusal. */
  readonly onFault?: (error: unknown) => void
}

export type JobInput<K extends KindName> = Given<InputOf<K>>
export type OwnJobInput<K extends DefinedKind> = K extends DefinedKind<infer I> ? Given<I> : never

export interface SubmitOptions {
  /** A UUIDv7 without it. */
  readonly id?: string
  /** Whose job it is; without it that of the `JobsOptions`. */
  readonly owner?: string
  /** Of a run: which solver computes it; without it the built-in one. Others are those of `settings.SOLVERS_FILE`. */
  readonly solver?: string
  /** How long it may take from its first start, over all attempts; without it as long as its kind may. */
  readonly timeoutS?: number
}

/** A job as a process, whatever its kind; `final` is its final message, or null. */
export type JobStatus = ProcessView & { readonly owner: string; readonly final: Readonly<Record<string, unknown>> | null }

/** What a watched job says, in the messages of its own socket: a snapshot, then each message. */
export type JobMessage<K extends KindName | DefinedKind = KindName> = K extends RunKindName | DefinedKind<unknown, 'run'>
  ? JobSnapshot | LiveMessage
  : ProcessSnapshot | LiveProcessMessage

export interface WatchJobOptions {
  /** Where a reader left off: the `epoch` of the last snapshot and the `seq` of the last message. */
  readonly after?: Position
  /** Ends the watch: it rejects with the signal's reason. */
  readonly signal?: AbortSignal
}

/**
 * Jobs for a program: enqueues, cancels, reads and watches them over Redis alone, without a hub's HTTP. Each instance has connections of its own and shares
 * nothing with another one. It sees the jobs of all users. All members reject with a `RuncastError`.
 */
export class Jobs {
  readonly #options: JobsOptions
  readonly #adapters: Adapters
  readonly #hub: Hub
  readonly #service: JobService
  readonly #streams = new Set<JobStream>()
  #closing: Promise<void> | undefined

  constructor(options: JobsOptions) {
    refuseUnknown(options, ['redisUrl', 'redisPrefix', 'owner', 'settings', 'onFault'])
    refuseUnknown(options.settings ?? {}, Object.keys(SETTINGS), '/settings')
    const { redisUrl, redisPrefix, settings, onFault = () => {} } = options
    const config = {
      ...loadConfig({}),
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
    this.#adapters = buildAdapters(config, log, knownKinds())
    this.#hub = buildHub(config, this.#adapters, log)
    this.#service = new JobService(this.#adapters)
  }

  /** Enqueues a job and answers with its state. The same id and input again by the same owner enqueues nothing. */
  async submit<K extends KindName>(kind: K, input: JobInput<K>, options?: SubmitOptions): Promise<JobStatus>
  /** The same for a kind of one's own, by what `defineKind` has answered. */
  async submit<K extends DefinedKind>(kind: K, input: OwnJobInput<K>, options?: SubmitOptions): Promise<JobStatus>
  async submit(named: string | DefinedKind, input: unknown, options: SubmitOptions = {}): Promise<JobStatus> {
    this.#mustBeOpen()
    refuseUnknown(options, ['id', 'owner', 'solver', 'timeoutS'])
    const kind = typeof named === 'string' ? named : named.name
    const { owner = this.#options.owner, ...given } = options
    if (!owner) throw new RuncastError('invalid', { issues: [{ path: '/owner', expected: 'the user whose job it is' }] })
    // A copy: the caller may change the input before it is stored.
    const plain = plainJson(input, '/input', 'exact')
    const service = await this.#inTime()
    return statusOf(await service.submit({ ...given, kind, input: plain, owner }))
  }

  /** Asks for the end of a job and answers with its status now. Rejects with `not_found` or `already_final`. */
  async cancel(id: string): Promise<Status> {
    return (await this.#inTime()).cancel(id, () => true)
  }

  /**
   * Pauses a job in steps. Child jobs that a worker computes run to their end; waiting ones are removed from the queue.
   * Returns `paused`. Rejects with `not_found` or `not_running`.
   */
  async pause(id: string): Promise<Status> {
    return (await this.#inTime()).pause(null, id, () => true, 'paused')
  }

  /** Lets a paused job go on. Answers `running`; rejects with `not_found` or `not_running`. */
  async resume(id: string): Promise<Status> {
    return (await this.#inTime()).pause(null, id, () => true, 'running')
  }

  /** The state of a job now. Rejects with `not_found`. */
  async read(id: string): Promise<JobStatus> {
    return statusOf(await this.#state(id))
  }

  /**
   * A job's state, then each message as it comes; ends after the final one. `K` is the kind, where it is known: its name, or `typeof` what `defineKind` has answered. A reader that is slower than the job gets
   * the newest progress only, and past `MAX_OUTBOX_BYTES` a snapshot with `resync`. Leaving the loop ends the watch. Rejects with `not_found`, with
   * `overloaded` where Redis cannot be reached (watch again with `after`), and with `going_away` after `close`.
   */
  async *watch<K extends KindName | DefinedKind = KindName>(
    id: string,
    options: WatchJobOptions = {},
  ): AsyncGenerator<JobMessage<K>, void> {
    refuseUnknown(options, ['after', 'signal'])
    const { after, signal } = options
    signal?.throwIfAborted()
    const { kind } = await this.#state(id)
    signal?.throwIfAborted()
    this.#mustBeOpen()
    const dialect = kind.dialect === 'run' ? runDialect : processDialect
    const stream = new JobStream(this.#hub, systemClock, { id, kind: kind.name, dialect, ...(after && { after }) })
    const abort = () => stream.close(signal?.reason)
    this.#streams.add(stream)
    signal?.addEventListener('abort', abort, { once: true })
    try {
      await stream.open()
      for (;;) {
        const message = await stream.next()
        if (message === null) return
        yield message as JobMessage<K> // as the dialect of this kind writes it
      }
    } finally {
      signal?.removeEventListener('abort', abort)
      this.#streams.delete(stream)
      stream.close()
    }
  }

  /** Ends every watch, then the connections. Nothing keeps the process alive after that. */
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
    this.#mustBeOpen()
    const state = isJobId(id) ? (await this.#adapters.broker.read(id))?.state : undefined
    if (!state) throw new RuncastError('not_found')
    return state
  }

  /** What changes jobs, once the time of Redis is known: that is what changes are stamped by. */
  async #inTime(): Promise<JobService> {
    this.#mustBeOpen()
    await this.#adapters.begun
    return this.#service
  }

  #mustBeOpen(): void {
    if (this.#closing) throw closed()
  }
}

/** Jobs for any Node program, also for one that computes jobs itself; see `Jobs`. Whoever creates them closes them. Throws `invalid` for a URL or prefix that is none. */
export function createJobs(options: JobsOptions): Jobs {
  return new Jobs(options)
}

function closed(): RuncastError {
  return new RuncastError('going_away', 'These jobs were closed.')
}

function statusOf(state: JobState): JobStatus {
  return { ...processView(state), owner: state.owner, final: processFinal(state) }
}

function required(name: string, value: string, setting: { readonly read: (text: string) => string }): string {
  try {
    if (value === '') throw new TypeError('a text')
    return setting.read(value)
  } catch (error) {
    const expected = error instanceof Error ? error.message : String(error)
    throw new RuncastError('invalid', { message: `${name}: expected ${expected}`, issues: [{ path: `/${name}`, expected }] })
  }
}
