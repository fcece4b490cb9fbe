import { isFinal } from '../protocol/status.js'
import { Connection, type ConnectionOptions, type ConnectionState } from './connection.js'
import { apply, isFinalMessage, isSnapshot, type JobSnapshot, type JobView, type LiveMessage, viewOf } from './job-view.js'
import type { Received } from './line.js'
import { Proof } from './proof.js'

export interface WatchOptions extends ConnectionOptions {
  /** `ws://…/api/v2/ws/runs/<run_id>`, `ws://…/api/v2/ws/optimizations/<optimization_id>` */
  readonly url: string
  /** Each message that changed the view, in order, each durable one exactly once. The snapshot comes as it is. */
  readonly onMessage?: (message: JobSnapshot | LiveMessage, view: JobView) => void
}

/** Follows one job through reconnects and hubs that stop, and proves of each message that nothing was lost before it. */
export class JobWatch {
  readonly #options: WatchOptions
  readonly #connection: Connection
  readonly #proof = new Proof()
  #view: JobView | null = null

  constructor(options: WatchOptions) {
    this.#options = options
    this.#connection = new Connection(options, {
      query: () => this.#query(),
      isOpening: isSnapshot,
      receive: (message) => this.#receive(message),
    })
  }

  /** The state as far as it is known; null before the first snapshot. */
  get view(): JobView | null {
    return this.#view
  }

  /** How the connection is. */
  get state(): ConnectionState {
    return this.#connection.state
  }

  /** Calls after each change of `view` or `state`, both immutable; the function that it returns calls that off. Bound, as stores of frameworks need it. */
  readonly subscribe = (listener: () => void): (() => void) => this.#connection.subscribe(listener)

  start(): this {
    this.#connection.start()
    return this
  }

  /** Resolves with the first state that satisfies a condition. Rejects when the watch ends before; that need not be caught where nobody awaits it. */
  until(condition: (view: JobView) => boolean): Promise<JobView> {
    return this.#connection.when(() => (this.#view && condition(this.#view) ? this.#view : null))
  }

  /** Resolves with the final state, its final message at hand. */
  finished(): Promise<JobView> {
    return this.until((view) => isFinal(view.status) && view.final !== null)
  }

  /** Asks for the end of the job. Throws while there is no connection. */
  cancel(): void {
    this.#connection.send({ type: 'cancel' })
  }

  close(): void {
    this.#connection.close()
  }

  #query(): Readonly<Record<string, string>> {
    const { position } = this.#proof
    return position ? { after: String(position.seq), epoch: position.epoch } : {}
  }

  #receive(message: Received): void {
    if (isSnapshot(message)) this.#begin(message)
    else if ('seq' in message) this.#follow(message as LiveMessage) // what has a place is an entry of the job
  }

  #begin(snapshot: JobSnapshot): void {
    const { epoch, seq, status } = snapshot
    const before = this.#view
    const hasFinal = this.#proof.open({ epoch, seq, recovered: snapshot.recovered === true, isFinal: isFinal(status) })
    // Another hub may be a moment behind of what the last one has told.
    const isOlder = before?.epoch === epoch && seq < before.seq
    if (!isOlder) this.#view = { ...viewOf(snapshot), final: (hasFinal && before?.final) || null }
    this.#notify(snapshot)
  }

  #follow(message: LiveMessage): void {
    const view = this.#view
    if (!view) return
    const isEnd = isFinalMessage(message)
    const verdict = this.#proof.judge(message, isEnd)
    if (verdict === 'gap') return this.#connection.reconnect('a message was missing')
    if (verdict === 'known') return
    if (message.seq > view.seq) this.#view = apply(view, message)
    // The state says as much as an older message; only the final message adds to it.
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
