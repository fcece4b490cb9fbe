import type { Dialect } from '../../core/dialect.js'
import type { Position } from '../../core/entry.js'
import type { ScopeMessage } from '../../protocol/client-messages.js'
import { RuncastError } from '../../protocol/codes.js'
import { isJobId } from '../../protocol/job-id.js'
import { isFinal, type Status } from '../../protocol/status.js'
import type { Follows } from '../../storage/hub-calls.js'
import type { BuildScope, Scope, ScopeContext } from './scope.js'
import type { SubscriptionHandle, TelemetryOptions } from './subscription-handle.js'

export interface JobScopeOptions {
  readonly id: string
  /** The name of the kind that this address serves; null for any kind. A job of another kind does not exist here. */
  readonly kind: string | null
  readonly dialect: Dialect
  /** The field that names the job in the answers. */
  readonly idField: string
  /** The client's last position. */
  readonly after?: Position
  /** What it wants beside entries. */
  readonly telemetry?: TelemetryOptions
  /** Ends the session after the final event. */
  readonly endsWithJob?: boolean
}

/** The scope of a session that follows one job. */
export function jobScope(options: JobScopeOptions): BuildScope {
  return (context) => new JobScope(context, options)
}

class JobScope implements Scope {
  readonly accepts = ['ping', 'auth', 'cancel', 'series'] as const
  readonly #context: ScopeContext
  readonly #options: JobScopeOptions
  #handle: SubscriptionHandle | undefined
  #cancelling: Promise<Status> | undefined
  #released = false

  constructor(context: ScopeContext, options: JobScopeOptions) {
    this.#context = context
    this.#options = options
  }

  get follows(): Follows {
    const jobs = this.#handle ? [this.#handle.id] : []
    return { scope: 'job', count: jobs.length, jobs }
  }

  async open(): Promise<void> {
    const { hub, policy, outbox, identity, close, telemetry: pump, publicPath } = this.#context
    const { id, kind, dialect, after, endsWithJob, telemetry } = this.#options
    if (!isJobId(id)) throw new RuncastError('not_found')
    const handle = await hub.subscribe({
      id,
      dialect,
      outbox,
      ...(after && { after }),
      ...(telemetry && { telemetry: { ...telemetry, pump, publicPath } }),
      mayView: (state) => policy.mayView(identity(), state.owner) && (kind === null || state.kind.name === kind),
      lost: () => close('not_found'),
      // In a later turn, since the message is about to leave in this one.
      ...(endsWithJob && { ended: (seq) => this.#isOver(seq) && queueMicrotask(() => close('done')) }),
    })
    if (!handle) throw new RuncastError('not_found')
    if (this.#released) return handle.release()
    this.#handle = handle
    handle.start('snapshot')
  }

  async receive(message: ScopeMessage): Promise<void> {
    if (message.type === 'series') {
      if (!this.#options.telemetry?.series) throw new RuncastError('invalid', 'Ask for the curves of the job first: series=1.')
      return this.#handle?.requestSeries(message.metric_name, message.from)
    }
    if (message.type !== 'cancel') throw new RuncastError('invalid')
    const { policy, identity, send } = this.#context
    const { id, idField } = this.#options
    // Concurrent requests share one cancel.
    this.#cancelling ??= policy.cancel(identity(), id).finally(() => {
      this.#cancelling = undefined
    })
    send({ type: 'cancel_accepted', [idField]: id, status: await this.#cancelling })
  }

  /** A replay may contain the final event of an earlier execution. */
  #isOver(seq: number): boolean {
    const state = this.#handle?.state
    return state?.seq === seq && isFinal(state.status)
  }

  fallBehind(): void {
    this.#handle?.subscription.fallBehind()
  }

  async resync(): Promise<void> {
    const handle = this.#handle
    await handle?.prepare()
    if (handle?.subscription.isLagging) handle.start('snapshot', true)
  }

  recheck(): void {
    this.#handle?.recheck()
  }

  release(): void {
    this.#released = true
    this.#handle?.release()
  }
}
