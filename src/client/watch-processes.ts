import { CODES, type CodeName } from '../protocol/codes.js'
import type { ProcessList, ProcessSnapshot } from '../protocol/process-messages.js'
import { isFinal } from '../protocol/status.js'
import { Connection, type ConnectionOptions, type ConnectionState } from './connection.js'
import type { Received } from './line.js'
import { ProcessLedger } from './process-ledger.js'
import { isProcessList, isProcessSnapshot, type LiveProcessMessage, type Process } from './process-view.js'
import { Requests } from './requests.js'

/** An answer of the hub that denies a request, or a message that it could not read (`request` null). */
export interface RefusedMessage {
  readonly type: 'refused'
  readonly request: string | null
  readonly process_id?: string
  readonly code: string
  readonly message: string
}

/** All processes by id: an immutable snapshot. What has not changed is the same object in the next one. */
export type Processes = ReadonlyMap<string, Process>

export type ProcessesMessage = ProcessList | ProcessSnapshot | LiveProcessMessage | RefusedMessage

export interface WatchProcessesOptions extends ConnectionOptions {
  /** `ws://…/ws` */
  readonly url: string
  /** Each message that changed the view, of each process in order, each durable one exactly once. Lists, snapshots and refusals come as they are. */
  readonly onMessage?: (message: ProcessesMessage, view: Processes) => void
  /** Most processes that have ended of which the view is kept; the oldest go first. At least 32. */
  readonly maxFinished?: number
}

export interface FollowOptions {
  readonly fromStart?: boolean
}

interface Subscribe {
  (listener: () => void): () => void
  (processId: string, options?: FollowOptions): void
}

const DEFAULT_MAX_FINISHED = 100
/** Most processes that are remembered as unsubscribed. */
const MAX_UNWANTED = 256

/**
 * Follows all processes of the user, and any that it subscribes to, through reconnects and hubs that stop, and proves for each of them that nothing was lost.
 * What began, went on or ended while there was no connection is asked for: of each process exactly what was missed, where its log reaches back.
 */
export class ProcessesWatch {
  readonly #options: WatchProcessesOptions
  readonly #connection: Connection
  readonly #ledger: ProcessLedger
  readonly #requests = new Requests((request) => this.#connection.isGood && this.#connection.send(request))
  /** Subscribed to by the user of the watch: asked for at each connect. */
  readonly #wanted = new Set<string>()
  readonly #unwanted = new Set<string>()

  constructor(options: WatchProcessesOptions) {
    this.#options = options
    this.#ledger = new ProcessLedger(options.maxFinished ?? DEFAULT_MAX_FINISHED)
    this.#connection = new Connection(options, {
      query: () => ({}),
      isOpening: (message) => isProcessList(message) && !message.resync,
      receive: (message) => this.#receive(message),
    })
  }

  /** All processes as far as they are known; empty before the first list. */
  get view(): Processes {
    return this.#ledger.view
  }

  /** How the connection is. */
  get state(): ConnectionState {
    return this.#connection.state
  }

  start(): this {
    this.#connection.start()
    return this
  }

  /** Resolves with the view once there is a list and a condition holds. Rejects when the watch ends before; that need not be caught where nobody awaits it. */
  until(condition: (view: Processes) => boolean): Promise<Processes> {
    return this.#connection.when(() => (this.#ledger.hasList && condition(this.view) ? this.view : null))
  }

  /** Asks for the end of a process. Throws while there is no connection. */
  cancel(processId: string): void {
    this.#connection.send({ type: 'cancel_process', process_id: processId })
  }

  /**
   * With a function: calls it after each change of `view` or `state`, both immutable, until the function that it returns is called. Bound, as stores of
   * frameworks need it.
   *
   * With an id: follows this process too: one that has ended, for an admin anybody's, or one that was unsubscribed. It comes with what is missing of it, else
   * with its whole state. `fromStart`: of a process of the view its log is told once more from the first entry on, so that all results on the way are there.
   */
  readonly subscribe: Subscribe = ((what: string | (() => void), options?: FollowOptions) =>
    typeof what === 'string' ? this.#subscribe(what, options) : this.#connection.subscribe(what)) as Subscribe // one overload each

  /** Nothing more of this process comes, over this connection and those to come. */
  unsubscribe(processId: string): void {
    this.#wanted.delete(processId)
    this.#unwanted.add(processId)
    for (const oldest of this.#unwanted) if (this.#unwanted.size > MAX_UNWANTED) this.#unwanted.delete(oldest)
    this.#ledger.forget(processId)
    this.#requests.replace({ type: 'unsubscribe', process_id: processId })
    this.#connection.changed()
  }

  close(): void {
    this.#requests.clear()
    this.#connection.close()
  }

  #subscribe(processId: string, { fromStart = false }: FollowOptions = {}): void {
    this.#unwanted.delete(processId)
    this.#wanted.add(processId)
    if (fromStart) this.#ledger.rewind(processId)
    this.#requests.answered(processId)
    this.#ask(processId)
  }

  #receive(message: Received): void {
    if (isProcessList(message)) this.#list(message)
    else if (isProcessSnapshot(message)) this.#open(message)
    else if (message.type === 'refused') this.#refused(message as RefusedMessage)
    else if (message.type === 'unsubscribed') this.#requests.answered((message as Received & { process_id: string }).process_id)
    else if ('seq' in message && 'process_id' in message) this.#follow(message as LiveProcessMessage) // what has a place is an entry of a process
  }

  /** A list opens each connection, and follows a backlog that was dropped. */
  #list(list: ProcessList): void {
    // An answer may have been dropped with the backlog; over another connection none will come.
    if (list.resync) this.#requests.again()
    else this.#requests.clear()
    for (const id of this.#ledger.list(list, (id) => !this.#unwanted.has(id))) this.#ask(id)
    if (!list.resync) {
      const listed = new Set([...list.processes, ...list.recent].map(({ process_id }) => process_id))
      for (const id of listed) if (this.#unwanted.has(id)) this.#requests.add({ type: 'unsubscribe', process_id: id })
      // What went on and is not in the list has ended longer ago, has expired, or is not this user's.
      const going = [...this.view.values()].filter(({ status }) => !isFinal(status)).map(({ process_id }) => process_id)
      for (const id of new Set([...going, ...this.#wanted])) if (!listed.has(id)) this.#ask(id)
    }
    this.#notify(list)
  }

  #open(snapshot: ProcessSnapshot): void {
    const { process_id: id } = snapshot
    if (this.#unwanted.has(id)) return
    this.#requests.answered(id)
    this.#ledger.open(snapshot)
    this.#notify(snapshot)
  }

  #follow(message: LiveProcessMessage): void {
    const { process_id: id } = message
    if (this.#unwanted.has(id)) return
    const verdict = this.#ledger.follow(message)
    if (verdict === 'gap') this.#ask(id)
    else if (verdict === 'told') this.#notify(message)
  }

  #refused(message: RefusedMessage): void {
    const { request, process_id: id, code } = message
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

  /** Without a connection the next list says what to ask for. */
  #ask(id: string): void {
    const position = this.#ledger.position(id)
    const after = position && { after: position.seq, epoch: position.epoch }
    if (this.#connection.isGood) this.#requests.add({ type: 'subscribe', process_id: id, ...after })
  }

  #notify(message: ProcessesMessage): void {
    this.#options.onMessage?.(message, this.view)
    this.#connection.changed()
  }
}

/** Watches all processes of a user over any hub; see `ProcessesWatch`. */
export function watchProcesses(options: WatchProcessesOptions): ProcessesWatch {
  return new ProcessesWatch(options).start()
}
