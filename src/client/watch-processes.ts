import { CODES, type CodeName } from '../protocol/codes.js'
import type { ProcessList, ProcessSnapshot, ProcessWords } from '../protocol/process-messages.js'
import { isFinal } from '../protocol/status.js'
import { ArtifactList, type ArtifactMessage, type ArtifactsMessage, isArtifactMessage } from './artifact-list.js'
import { Connection, type ConnectionOptions, type ConnectionState } from './connection.js'
import { type Curve, Curves, isSeriesMessage, type SeriesMessage } from './curves.js'
import type { JobArtifact } from './download.js'
import { type HealthMessage, healthOf, isHealthMessage, type JobHealth } from './health.js'
import type { Received } from './hub-socket.js'
import { isLogMessage, type LogMessage, LogPosition, type NumberedLine } from './log-fold.js'
import { ProcessLedger } from './process-ledger.js'
import { isProcessList, isProcessSnapshot, isProcessWords, type LiveProcessMessage, type Process } from './process-view.js'
import { hasSeq } from './proof.js'
import { Requests } from './requests.js'

/** An error response to a request, or to a message that the hub could not read (`request` null). */
export interface RefusedMessage {
  readonly type: 'refused'
  readonly request: string | null
  readonly process_id?: string
  readonly code: string
  readonly message: string
}

/** All processes by id: an immutable snapshot. Unchanged processes are the same objects in the next one. */
export type Processes = ReadonlyMap<string, Process>

export type ProcessesMessage = ProcessList | ProcessSnapshot | LiveProcessMessage | RefusedMessage

export interface WatchProcessesOptions extends ConnectionOptions {
  /** `ws://…/ws` */
  readonly url: string
  /**
   * Called for each message that changed the view, in order per process, exactly once for each persisted one. Lists,
   * snapshots and error responses are passed unchanged.
   */
  readonly onMessage?: (message: ProcessesMessage, view: Processes) => void
  /**
   * Called with the log lines of a process that was subscribed to with `log`, each once and in order; see `onLog` of
   * `watchJob`.
   */
  readonly onLog?: (
    processId: string,
    lines: readonly NumberedLine[],
    is: { readonly isReset: boolean; readonly isComplete: boolean },
  ) => void
  /**
   * Called for each artifact of a process that was subscribed to with `artifacts`, each once and in order; see
   * `onArtifact` of `watchJob`.
   */
  readonly onArtifact?: (processId: string, artifact: JobArtifact) => void
  /** Called with the health of a process that was subscribed to with `health`; see `onHealth` of `watchJob`. */
  readonly onHealth?: (processId: string, health: JobHealth) => void
  /** Maximum ended processes in the view; the oldest are removed first. At least 32. */
  readonly maxFinished?: number
}

export interface FollowOptions {
  readonly fromStart?: boolean
  /** Whether to follow the curves of its metrics: `series(id)`. Default false. */
  readonly series?: boolean
  /** Whether to follow its log: `onLog`. Default false. */
  readonly log?: boolean
  /** Whether to follow the artifacts that it stores: `artifacts(id)` and `onArtifact`. Default false. */
  readonly artifacts?: boolean
  /** Whether to follow whether it is stalled or stale: `onHealth`. Default false. */
  readonly health?: boolean
}

interface Subscribe {
  (listener: () => void): () => void
  (processId: string, options?: FollowOptions): void
}

const DEFAULT_MAX_FINISHED = 100
const NO_CURVES: ReadonlyMap<string, Curve> = new Map()
const NO_ARTIFACTS: ReadonlyMap<string, JobArtifact> = new Map()
/** Maximum processes that are remembered as unsubscribed. */
const MAX_UNWANTED = 256

/**
 * Follows all processes of the user, and others by subscription, through reconnects and stopping hubs, and proves for
 * each of them that nothing was lost. After a reconnect it requests exactly the missed messages of each process, as far
 * as its log reaches back.
 */
export class ProcessesWatch {
  readonly #options: WatchProcessesOptions
  readonly #connection: Connection
  readonly #ledger: ProcessLedger
  readonly #requests = new Requests((request) => this.#connection.isOnline && this.#connection.send(request))
  /** Subscribed by the user of the watch: requested at each connect. */
  readonly #wanted = new Set<string>()
  readonly #unwanted = new Set<string>()
  /** Curves by process, of those that were subscribed to with `series`. */
  readonly #curves = new Map<string, Curves>()
  /** Positions in logs, of those that were subscribed to with `log`. */
  readonly #logs = new Map<string, LogPosition>()
  /** Artifacts by process, of those that were subscribed to with `artifacts`. */
  readonly #artifacts = new Map<string, ArtifactList>()
  /** Processes that were subscribed to with `health`. */
  readonly #health = new Map<string, true>()
  /** What is followed of processes beside their messages. */
  readonly #followed: readonly Map<string, unknown>[] = [this.#curves, this.#logs, this.#artifacts, this.#health]

  constructor(options: WatchProcessesOptions) {
    this.#options = options
    this.#ledger = new ProcessLedger(options.maxFinished ?? DEFAULT_MAX_FINISHED)
    this.#connection = new Connection(options, {
      query: () => ({}),
      isFirstState: (message) => isProcessList(message) && !message.resync,
      receive: (message) => this.#receive(message),
    })
  }

  /** The known processes; empty before the first list. */
  get view(): Processes {
    return this.#ledger.view
  }

  /** The curves of a process that was subscribed to with `series`, by the name of their metric. */
  series(processId: string): ReadonlyMap<string, Curve> {
    return this.#curves.get(processId)?.view ?? NO_CURVES
  }

  /** The artifacts of a process that was subscribed to with `artifacts`, by name; see `artifacts` of `JobWatch`. */
  artifacts(processId: string): ReadonlyMap<string, JobArtifact> {
    return this.#artifacts.get(processId)?.view ?? NO_ARTIFACTS
  }

  /** The state of the connection. */
  get state(): ConnectionState {
    return this.#connection.state
  }

  start(): this {
    this.#connection.start()
    return this
  }

  /**
   * Resolves with the view once there is a list and a condition holds. Rejects if the watch ends first; callers that do
   * not await it need not catch that.
   */
  until(condition: (view: Processes) => boolean): Promise<Processes> {
    return this.#connection.when(() => (this.#ledger.hasList && condition(this.view) ? this.view : null))
  }

  /** Requests cancellation of a process. Throws if there is no connection. */
  cancel(processId: string): void {
    this.#connection.send({ type: 'cancel_process', process_id: processId })
  }

  /**
   * With a function: calls it after each change of `view` or `state`, both immutable, until the returned function is
   * called. Bound to the instance, as stores of frameworks need it.
   *
   * With an id: follows this process too, such as one that has ended, one of another user (for admins), or one that was
   * unsubscribed. Its missed messages arrive, or else its whole state. `fromStart`: replays the log of a process of the
   * view from its first entry, so that all intermediate results are included.
   */
  readonly subscribe: Subscribe = ((what: string | (() => void), options?: FollowOptions) =>
    // one overload each
    typeof what === 'string' ? this.#subscribe(what, options) : this.#connection.subscribe(what)) as Subscribe

  /** Ends the subscription, on this connection and later ones. */
  unsubscribe(processId: string): void {
    this.#wanted.delete(processId)
    this.#unwanted.add(processId)
    for (const followed of this.#followed) followed.delete(processId)
    for (const oldest of this.#unwanted) if (this.#unwanted.size > MAX_UNWANTED) this.#unwanted.delete(oldest)
    this.#ledger.forget(processId)
    this.#requests.replace({ type: 'unsubscribe', process_id: processId })
    this.#connection.changed()
  }

  close(): void {
    this.#requests.clear()
    this.#connection.close()
  }

  #subscribe(processId: string, options: FollowOptions = {}): void {
    const { fromStart = false, series = false, log = false, artifacts = false, health = false } = options
    keep(this.#curves, processId, series, () => this.#newCurves(processId))
    keep(this.#logs, processId, log, () => new LogPosition())
    keep(this.#artifacts, processId, artifacts, () => new ArtifactList())
    keep(this.#health, processId, health, () => true)
    this.#unwanted.delete(processId)
    this.#wanted.add(processId)
    if (fromStart) this.#ledger.rewind(processId)
    this.#requests.answered(processId)
    this.#request(processId)
  }

  #receive(message: Received): void {
    if (isSeriesMessage(message)) this.#draw(message as Received & SeriesMessage & OfProcess)
    else if (isLogMessage(message)) this.#read(message as Received & LogMessage & OfProcess)
    else if (isArtifactMessage(message)) this.#store(message as (ArtifactMessage | ArtifactsMessage) & OfProcess)
    else if (isHealthMessage(message)) this.#judge(message as Received & HealthMessage & OfProcess)
    else if (isProcessList(message)) this.#list(message)
    else if (isProcessSnapshot(message)) this.#open(message)
    else if (isProcessWords(message)) this.#rename(message)
    else if (message.type === 'refused') this.#refused(message as RefusedMessage)
    else if (message.type === 'unsubscribed') this.#requests.answered((message as Received & { process_id: string }).process_id)
    // messages with a seq are entries of a process
    else if (hasSeq(message) && 'process_id' in message) this.#follow(message as LiveProcessMessage)
  }

  /** A list starts each connection, and follows a backlog that was dropped. */
  #list(list: ProcessList): void {
    // A response may have been dropped with the backlog. After a reconnect none will arrive.
    if (list.resync) this.#requests.again()
    else this.#requests.clear()
    const requested = this.#following([...this.#curves.keys()], () => this.#ledger.list(list, (id) => !this.#unwanted.has(id)))
    for (const id of requested) this.#request(id)
    if (!list.resync) {
      const listed = new Set([...list.processes, ...list.recent].map(({ process_id }) => process_id))
      for (const id of listed) if (this.#unwanted.has(id)) this.#requests.add({ type: 'unsubscribe', process_id: id })
      // A process that was active and is not in the list ended some time ago, has expired, or belongs to another user.
      const active = [...this.view.values()].filter(({ status }) => !isFinal(status)).map(({ process_id }) => process_id)
      for (const id of new Set([...active, ...this.#wanted])) if (!listed.has(id)) this.#request(id)
      // A list does not say what is followed of them.
      for (const followed of this.#followed) for (const id of followed.keys()) this.#request(id)
    }
    this.#notify(list)
  }

  #open(snapshot: ProcessSnapshot): void {
    const { process_id: id } = snapshot
    if (this.#unwanted.has(id)) return
    if (this.#ledger.isBefore(snapshot)) return this.#request(id)
    this.#curves.get(id)?.forgetRequests()
    const isUnasked = this.#requests.answered(id)
    this.#following([id], () => this.#ledger.open(snapshot))
    // The hub has sent it by itself, and does not know yet what is followed of it.
    if (isUnasked && this.#followed.some((followed) => followed.has(id))) this.#request(id)
    this.#notify(snapshot)
  }

  #follow(message: LiveProcessMessage): void {
    const { process_id: id } = message
    if (this.#unwanted.has(id)) return
    const verdict = this.#following([id], () => this.#ledger.follow(message))
    if (verdict === 'gap') this.#request(id)
    else if (verdict === 'applied') this.#notify(message)
  }

  /** Curves of these processes follow what a change makes of them. */
  #following<T>(ids: readonly string[], change: () => T): T {
    const before = ids.map((id) => this.view.get(id))
    const result = change()
    for (const [i, id] of ids.entries()) {
      const [was, is] = [before[i], this.view.get(id)]
      if (was && is && was !== is) this.#curves.get(id)?.follow(was, is)
    }
    return result
  }

  #rename(message: ProcessWords): void {
    if (!this.#unwanted.has(message.process_id) && this.#ledger.rename(message)) this.#connection.changed()
  }

  #refused(message: RefusedMessage): void {
    const { request, process_id: id, code } = message
    if (request === null || request === 'series') this.#forgetSeriesRequests(id)
    if (request === null) this.#requests.again()
    else if (request === 'subscribe' && id !== undefined) {
      if (CODES[code as CodeName]?.reconnect) this.#requests.again(id)
      else this.#requests.answered(id)
      if (code === 'not_found') {
        this.#wanted.delete(id)
        this.#ledger.forget(id)
      }
    }
    this.#notify(message)
  }

  /** Without an answer, the next message of a curve asks again. */
  #forgetSeriesRequests(id: string | undefined): void {
    for (const [of, curves] of this.#curves) if (id === undefined || of === id) curves.forgetRequests()
  }

  /** Without a connection, the next list determines the requests. */
  #request(id: string): void {
    const position = this.#ledger.position(id)
    const after = position && { after: position.seq, epoch: position.epoch }
    const asked = {
      ...after,
      ...(this.#curves.has(id) && { series: true }),
      ...this.#logs.get(id)?.request,
      ...(this.#artifacts.has(id) && { artifacts: true }),
      ...(this.#health.has(id) && { health: true }),
    }
    if (this.#connection.isOnline) this.#requests.add({ type: 'subscribe', process_id: id, ...asked })
  }

  #newCurves(process_id: string): Curves {
    return new Curves((metric_name, from) => {
      if (this.#connection.isOnline) this.#connection.send({ type: 'series', process_id, metric_name, from })
    })
  }

  #draw(message: SeriesMessage & OfProcess): void {
    if (this.#curves.get(message.process_id)?.receive(message)) this.#connection.changed()
  }

  #read(message: LogMessage & OfProcess): void {
    const { process_id: id } = message
    const added = this.#logs.get(id)?.add(message)
    if (added) this.#options.onLog?.(id, added.lines, { isReset: added.isReset, isComplete: message.end === true })
  }

  #store(message: (ArtifactMessage | ArtifactsMessage) & OfProcess): void {
    const { process_id: id } = message
    const added = this.#artifacts.get(id)?.add(message)
    if (added === undefined) return
    if (added === 'gap') return this.#request(id)
    for (const artifact of added) this.#options.onArtifact?.(id, artifact)
    this.#connection.changed()
  }

  #judge(message: HealthMessage & OfProcess): void {
    const { process_id: id } = message
    if (this.#health.has(id)) this.#options.onHealth?.(id, healthOf(message))
  }

  #notify(message: ProcessesMessage): void {
    this.#options.onMessage?.(message, this.view)
    this.#connection.changed()
  }
}

interface OfProcess {
  readonly process_id: string
}

/** Adds what is followed of a process, or removes it. */
function keep<T>(followed: Map<string, T>, id: string, isWanted: boolean, create: () => T): void {
  if (!isWanted) followed.delete(id)
  else if (!followed.has(id)) followed.set(id, create())
}

/** Watches all processes of a user over any hub; see `ProcessesWatch`. */
export function watchProcesses(options: WatchProcessesOptions): ProcessesWatch {
  return new ProcessesWatch(options).start()
}
