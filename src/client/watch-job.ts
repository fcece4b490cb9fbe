import { isFinal } from '../protocol/status.js'
import { ArtifactList, type ArtifactMessage, type ArtifactsMessage, isArtifactMessage } from './artifact-list.js'
import { Connection, type ConnectionOptions, type ConnectionState } from './connection.js'
import { type Curve, Curves, isSeriesMessage } from './curves.js'
import type { JobArtifact } from './download.js'
import { healthOf, isHealthMessage, type JobHealth } from './health.js'
import type { Received } from './hub-socket.js'
import {
  apply,
  applyWords,
  isFinalMessage,
  isSnapshot,
  isWords,
  type JobSnapshot,
  type JobView,
  type LiveMessage,
  viewOf,
  type WordsMessage,
} from './job-view.js'
import { isLogMessage, type LogMessage, LogPosition, type NumberedLine } from './log-fold.js'
import { isProcessList, isProcessSnapshot } from './process-view.js'
import { hasSeq, Proof } from './proof.js'
import type { RefusedMessage } from './watch-processes.js'

export interface WatchOptions extends ConnectionOptions {
  /** A socket of one job in the run dialect, such as `wss://…/api/v2/ws/runs/<run_id>`. */
  readonly url: string
  /**
   * Called for each message that changed the view, in order, exactly once for each persisted one. Snapshots are passed
   * unchanged.
   */
  readonly onMessage?: (message: JobSnapshot | LiveMessage, view: JobView) => void
  /** Whether to follow the curves of the job's metrics. Default false. */
  readonly series?: boolean
  /**
   * Called with the lines of the job's log: those that are kept, then live ones, each once and in order. `isReset`:
   * earlier lines belong to another log, such as that of an earlier execution. `isComplete`: no more lines of this
   * execution follow. Without this option no lines are sent.
   */
  readonly onLog?: (lines: readonly NumberedLine[], is: { readonly isReset: boolean; readonly isComplete: boolean }) => void
  /** Whether to follow the artifacts that the job stores. Default: whether there is `onArtifact`. */
  readonly artifacts?: boolean
  /**
   * Called for each artifact of the current attempt, each once and in order: those that are stored, then live ones. One
   * of a known name replaces it. `artifacts` of the watch has the whole list.
   */
  readonly onArtifact?: (artifact: JobArtifact) => void
  /**
   * Called with the health of the job while it is active: at each connect, and after each change. Without this option
   * it is not sent. It says nothing about a job that has ended.
   */
  readonly onHealth?: (health: JobHealth) => void
}

/** Why a watch ends at a socket of the process dialect (RFC 6455, section 7.4.1: data of an unsupported type). */
const WRONG_DIALECT = { code: 1003, reason: 'this socket has the process dialect: use client.watch() or job.events()' }

/**
 * Follows one job through reconnects and stopping hubs, and proves for each message that nothing was lost before it.
 */
export class JobWatch {
  readonly #options: WatchOptions
  readonly #connection: Connection
  readonly #proof = new Proof()
  readonly #curves = new Curves((metric_name, from) => {
    if (this.#connection.isOnline) this.#connection.send({ type: 'series', metric_name, from })
  })
  readonly #log = new LogPosition()
  readonly #artifacts = new ArtifactList()
  #view: JobView | null = null

  constructor(options: WatchOptions) {
    this.#options = options
    this.#connection = new Connection(options, {
      query: () => this.#query(),
      isFirstState: isSnapshot,
      receive: (message) => this.#receive(message),
    })
  }

  /** The known state; null before the first snapshot. */
  get view(): JobView | null {
    return this.#view
  }

  /** With the option `series`: the curves by the name of their metric, those of the current attempt. */
  get series(): ReadonlyMap<string, Curve> {
    return this.#curves.view
  }

  /**
   * With the option `artifacts` or `onArtifact`: the artifacts of the current attempt by name, in the order in which
   * they were stored; immutable.
   */
  get artifacts(): ReadonlyMap<string, JobArtifact> {
    return this.#artifacts.view
  }

  /** The state of the connection. */
  get state(): ConnectionState {
    return this.#connection.state
  }

  /**
   * Calls the listener after each change of `view` or `state`, both immutable. The returned function unsubscribes.
   * Bound to the instance, as stores of frameworks need it.
   */
  readonly subscribe = (listener: () => void): (() => void) => this.#connection.subscribe(listener)

  start(): this {
    this.#connection.start()
    return this
  }

  /**
   * Resolves with the first state that satisfies a condition. Rejects if the watch ends first; callers that do not
   * await it need not catch that.
   */
  until(condition: (view: JobView) => boolean): Promise<JobView> {
    return this.#connection.when(() => (this.#view && condition(this.#view) ? this.#view : null))
  }

  /** Resolves with the final state, including its final message. */
  finished(): Promise<JobView> {
    return this.until((view) => isFinal(view.status) && view.final !== null)
  }

  /** Requests cancellation of the job. Throws if there is no connection. */
  cancel(): void {
    this.#connection.send({ type: 'cancel' })
  }

  close(): void {
    this.#connection.close()
  }

  #query(): Readonly<Record<string, string>> {
    const { position } = this.#proof
    return {
      ...(position && { after: String(position.seq), epoch: position.epoch }),
      ...(this.#options.series === true && { series: '1' }),
      ...(this.#options.onLog && this.#log.query),
      ...((this.#options.artifacts ?? this.#options.onArtifact !== undefined) && { artifacts: '1' }),
      ...(this.#options.onHealth && { health: '1' }),
    }
  }

  #receive(message: Received): void {
    if (isSnapshot(message)) this.#open(message)
    else if (isWords(message)) this.#rename(message)
    else if (isLogMessage(message)) this.#options.onLog?.(...this.#linesOf(message))
    else if (isArtifactMessage(message)) this.#store(message)
    else if (isHealthMessage(message)) this.#options.onHealth?.(healthOf(message))
    else if (!this.#view && (isProcessList(message) || isProcessSnapshot(message))) this.#connection.close(WRONG_DIALECT)
    else if (message.type === 'refused') this.#refused(message as RefusedMessage)
    else if (isSeriesMessage(message)) this.#curves.receive(message) && this.#connection.changed()
    else if (hasSeq(message)) this.#follow(message as LiveMessage) // messages with a seq are entries of the job
  }

  #linesOf(message: LogMessage): Parameters<NonNullable<WatchOptions['onLog']>> {
    const { lines, isReset } = this.#log.add(message)
    return [lines, { isReset, isComplete: message.end === true }]
  }

  #store(message: ArtifactMessage | ArtifactsMessage): void {
    const added = this.#artifacts.add(message)
    if (added === 'gap') return this.#connection.reconnect('an artifact was missing')
    for (const artifact of added) this.#options.onArtifact?.(artifact)
    this.#connection.changed()
  }

  #open(snapshot: JobSnapshot): void {
    // What was requested on another connection is not answered on this one.
    this.#curves.forgetRequests()
    const { epoch, seq, status } = snapshot
    const before = this.#view
    const hasFinal = this.#proof.open({ epoch, seq, recovered: snapshot.recovered === true, isFinal: isFinal(status) })
    // Another hub may be slightly behind the last one.
    const isOlder = before?.epoch === epoch && seq < before.seq
    if (!isOlder) {
      this.#view = { ...viewOf(snapshot), final: (hasFinal && before?.final) || null }
      if (before) this.#curves.follow(before, this.#view)
    }
    this.#notify(snapshot)
  }

  /** Without an answer, the next message of a curve asks again. */
  #refused({ request }: RefusedMessage): void {
    if (request === null || request === 'series') this.#curves.forgetRequests()
  }

  #rename(message: WordsMessage): void {
    if (!this.#view) return
    this.#view = applyWords(this.#view, message)
    this.#connection.changed()
  }

  #follow(message: LiveMessage): void {
    const view = this.#view
    if (!view) return
    const isEnd = isFinalMessage(message)
    const verdict = this.#proof.judge(message, isEnd)
    if (verdict === 'gap') return this.#connection.reconnect('a message was missing')
    if (verdict === 'known') return
    if (message.seq > view.seq) {
      this.#view = apply(view, message)
      this.#curves.follow(view, this.#view)
    }
    // The state already includes an older message; only the final message adds to it.
    else if (isEnd && message.seq === view.seq) this.#view = { ...view, final: message }
    this.#notify(message)
  }

  #notify(message: JobSnapshot | LiveMessage): void {
    if (this.#view) this.#options.onMessage?.(message, this.#view)
    this.#connection.changed()
  }
}

/** Watches a job over any hub node; see `JobWatch`. */
export function watchJob(options: WatchOptions): JobWatch {
  return new JobWatch(options).start()
}
