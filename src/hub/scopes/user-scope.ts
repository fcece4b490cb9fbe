import PQueue from 'p-queue'
import { type Dialect, processDialect, processView, runDialect } from '../../core/dialect.js'
import type { Position } from '../../core/entry.js'
import type { JobState } from '../../core/job-state.js'
import { storeClock } from '../../core/store-clock.js'
import type { ClientMessage, ClientMessageType, ScopeMessage } from '../../protocol/client-messages.js'
import { RuncastError } from '../../protocol/codes.js'
import { isJobId } from '../../protocol/job-id.js'
import { isFinal } from '../../protocol/status.js'
import { type Follows, MAX_FOLLOWED_LISTED } from '../../storage/hub-calls.js'
import { buildFrame } from '../frame.js'
import type { FeedSubscription } from '../hub.js'
import { type RecentMap, recentMap } from '../recent-map.js'
import type { StartMode } from '../subscription.js'
import type { Follower } from './feed.js'
import { ResumePositions } from './resume-positions.js'
import type { BuildScope, Scope, ScopeContext } from './scope.js'
import type { SubscribeOptions, SubscriptionHandle, TelemetryOptions } from './subscription-handle.js'

export interface UserScopeLimits {
  /** Maximum jobs that one client follows. If more are active, it gets the newest ones. */
  readonly maxSubscriptions: number
}

/** How a client wants the messages about a job. */
interface Wish {
  readonly dialect?: Dialect
  readonly telemetry?: TelemetryOptions
}

/** What a client that can send no requests wants. */
export interface UserScopeWish extends Wish {
  /** Jobs to follow beside the client's own active ones. */
  readonly ids?: readonly string[]
}

/**
 * Maximum positions that are kept of jobs which have ended or were left, so that a later execution resumes from there.
 */
const MAX_LEFT = 1024
/** Maximum queued requests of one client. */
const MAX_WAITING = 64

/**
 * The scope of a session that follows all jobs of its user: existing ones and new ones. The list is in the process
 * dialect, and so are the messages about each job, unless the client asks for another one.
 */
export function userScope(limits: UserScopeLimits, wish: UserScopeWish = {}): BuildScope {
  return (context) => new UserScope(context, limits, wish)
}

class UserScope implements Scope, Follower {
  readonly accepts: readonly ClientMessageType[] = ['ping', 'auth', 'subscribe', 'unsubscribe', 'cancel_process', 'series']
  readonly #context: ScopeContext
  readonly #limits: UserScopeLimits
  readonly #wish: UserScopeWish
  /** Wishes for single jobs, also for later executions of them. */
  readonly #wishes: RecentMap<Wish>
  readonly #handles = new Map<string, SubscriptionHandle>()
  /** The client's positions in jobs that it no longer follows. */
  readonly #left = new ResumePositions(MAX_LEFT)
  /** Jobs that the client has unsubscribed from. The feed may name them again. */
  #unwanted: RecentMap<true> | undefined
  /** Changes received before the list has left; null from then on. */
  #early: Map<string, boolean> | null = new Map()
  #isListed = false
  readonly #opening = new Set<string>()
  /** Changed while followed or being opened: possibly another execution, possibly nothing new. */
  readonly #again = new Set<string>()
  /** Requests wait until the first list has left, since an answer overtakes what waits. */
  readonly #requests = new PQueue({ concurrency: 1, autoStart: false })
  /** There were more jobs than the client may follow. */
  #isShort = false
  #resyncing: Promise<void> = Promise.resolve()
  /** Its last list may have been dropped with its backlog. */
  #isBehind = false
  #feed: FeedSubscription | undefined
  #released = false

  constructor(context: ScopeContext, limits: UserScopeLimits, wish: UserScopeWish) {
    this.#context = context
    this.#limits = limits
    this.#wish = wish
    this.#wishes = recentMap(Math.max(MAX_LEFT, limits.maxSubscriptions))
  }

  get follows(): Follows {
    return { scope: 'user', count: this.#handles.size, jobs: [...this.#handles.keys()].slice(0, MAX_FOLLOWED_LISTED) }
  }

  async open(): Promise<void> {
    const { hub, identity } = this.#context
    this.#feed = hub.follow(identity().sub, this)
    const index = await this.#feed.index()
    if (this.#released) return
    const active = index.active.slice(0, this.#limits.maxSubscriptions)
    const [ended] = await Promise.all([this.#peek(index.ended), ...active.map((id) => this.#take(id))])
    if (this.#released) return
    this.#list(ended)
    for (const handle of [...this.#handles.values()]) handle.start(this.#modeOf(handle.id))
    for (const id of this.#wish.ids ?? []) if (!this.#handles.has(id)) this.#context.run(this.#inOrder(() => this.#subscribeTo(id)))
  }

  changed(id: string, isNews: boolean): void {
    if (this.#early) return void this.#early.set(id, isNews || this.#early.get(id) === true)
    if (this.#released || this.#unwanted?.has(id)) return
    if (this.#handles.has(id) || this.#opening.has(id)) {
      if (isNews) this.#again.add(id)
    } else if (this.#isFull) this.#isShort = true
    else {
      this.#opening.add(id)
      this.#context.run(this.#follow(id).finally(() => this.#opened(id)))
    }
  }

  async receive(message: ScopeMessage): Promise<void> {
    const { policy, identity, send } = this.#context
    const { process_id } = message as { process_id?: string }
    if (process_id === undefined) throw new RuncastError('invalid', 'A request names a process: process_id.')
    switch (message.type) {
      case 'subscribe': {
        const { after, epoch } = message
        return this.#inOrder(() => {
          this.#wishes.set(process_id, wishOf(message))
          return this.#subscribe(process_id, after !== undefined && epoch !== undefined ? { epoch, seq: after } : null)
        })
      }
      case 'unsubscribe':
        return this.#inOrder(() => this.#unsubscribe(process_id))
      case 'cancel_process':
        return send({ type: 'cancel_accepted', process_id, status: await policy.cancel(identity(), process_id) })
      case 'series': {
        const handle = this.#handles.get(process_id)
        if (!handle) throw new RuncastError('not_found')
        return handle.requestSeries(message.metric_name, message.from)
      }
      default:
        throw new RuncastError('invalid')
    }
  }

  fallBehind(): void {
    this.#isBehind = true
    this.#left.revert()
    for (const handle of this.#handles.values()) handle.subscription.fallBehind()
  }

  /** Runs resyncs one after the other: what one has prepared is valid only until another one starts it. */
  resync(): Promise<void> {
    this.#resyncing = this.#resyncing.then(() => this.#resync())
    return this.#resyncing
  }

  recheck(): void {
    for (const handle of [...this.#handles.values()]) handle.recheck()
  }

  release(): void {
    this.#released = true
    this.#feed?.leave()
    for (const handle of this.#handles.values()) handle.release()
    this.#handles.clear()
  }

  get #isFull(): boolean {
    return this.#handles.size + this.#opening.size >= this.#limits.maxSubscriptions
  }

  /**
   * Subscribes to a job of the list. It is stored as soon as it exists, so that it is released if the session ends
   * meanwhile.
   */
  async #take(id: string): Promise<void> {
    const handle = await this.#context.hub.subscribe(this.#subscribeOptions(id))
    if (handle && !this.#isKept(handle)) handle.release()
  }

  #isKept(handle: SubscriptionHandle): boolean {
    if (this.#released || this.#handles.has(handle.id) || this.#unwanted?.has(handle.id)) return false
    this.#handles.set(handle.id, handle)
    return true
  }

  /** Follows a job that the feed has reported: by its entries, from the client's position. */
  async #follow(id: string): Promise<void> {
    const left = this.#left.get(id)
    const handle = await this.#context.hub.subscribe({ ...this.#subscribeOptions(id), after: left ?? 'start' })
    if (!handle) return
    try {
      // This node's state of the job may be older than the index change.
      if (isDelivered(handle.state, left)) await handle.refresh()
    } catch (error) {
      handle.release()
      throw error
    }
    // A list has set the client's position meanwhile: start again from there.
    const isMoved = this.#left.get(id) !== left
    if (isMoved) this.#again.add(id)
    if (!handle.state || isMoved || isDelivered(handle.state, left) || !this.#isKept(handle)) return handle.release()
    handle.start('log')
  }

  /** A change received meanwhile may be newer than what was read. */
  #opened(id: string): void {
    this.#opening.delete(id)
    if (!this.#handles.has(id) && this.#again.delete(id)) this.changed(id, true)
  }

  /** For a client that cannot send requests: a job that it may not view is reported as one that is gone. */
  async #subscribeTo(id: string): Promise<void> {
    try {
      await this.#subscribe(id, null)
    } catch (error) {
      if (!(error instanceof RuncastError)) throw error
      this.#context.send({ type: 'refused', request: 'subscribe', process_id: id, code: error.code, message: error.message })
    }
  }

  async #subscribe(id: string, after: Position | null): Promise<void> {
    const { hub } = this.#context
    if (!this.#handles.has(id) && this.#isFull)
      throw new RuncastError('rate_limited', `At most ${this.#limits.maxSubscriptions} processes can be followed at a time.`)
    const handle = isJobId(id) ? await hub.subscribe({ ...this.#subscribeOptions(id), ...(after && { after }) }) : null
    if (!handle) throw new RuncastError('not_found')
    if (this.#released) return handle.release()
    const { kind } = handle.state ?? {}
    if (this.#dialectOf(id) === runDialect && kind && kind.snapshot === null) {
      handle.release()
      this.#wishes.delete(id)
      throw new RuncastError('invalid', `The kind ${kind.name} has no run dialect.`)
    }
    this.#unwanted?.delete(id)
    // The new handle replaces the old one in this turn: what still waits belongs to a position that the client will not
    // have.
    const old = this.#handles.get(id)
    old?.subscription.mute()
    old?.release()
    this.#handles.set(id, handle)
    handle.start('snapshot')
  }

  async #unsubscribe(id: string): Promise<void> {
    this.#unwanted ??= recentMap(Math.max(MAX_LEFT, this.#limits.maxSubscriptions))
    this.#unwanted.set(id, true)
    this.#wishes.delete(id)
    // The answer goes first, so waiting messages may not follow it.
    this.#handles.get(id)?.subscription.mute()
    this.#drop(id)
    this.#context.send({ type: 'unsubscribed', process_id: id })
  }

  #subscribeOptions(id: string): SubscribeOptions {
    const { policy, outbox, identity, telemetry: pump, publicPath } = this.#context
    const telemetry = (this.#wishes.get(id) ?? this.#wish).telemetry
    return {
      id,
      dialect: this.#dialectOf(id),
      outbox,
      ...(telemetry && { telemetry: { ...telemetry, pump, publicPath } }),
      mayView: (state) => policy.mayView(identity(), state.owner),
      lost: (why) => this.#lost(id, why),
      ended: (seq) => this.#ended(id, seq),
    }
  }

  #dialectOf(id: string): Dialect {
    return (this.#wishes.get(id) ?? this.#wish).dialect ?? processDialect
  }

  /** A list states a job in the process dialect only. */
  #modeOf(id: string): StartMode {
    return this.#dialectOf(id) === processDialect ? 'listed' : 'snapshot'
  }

  /**
   * The feed reports another execution of the user's own job, unless that began before the end of this one has left.
   * For another user's job there is no such report, so the subscription is kept.
   */
  #ended(id: string, seq: number): void {
    const state = this.#handles.get(id)?.state
    if (!state || !isFinal(state.status) || state.seq !== seq || state.owner !== this.#context.identity().sub) return
    const isAgain = this.#again.has(id)
    this.#drop(id, state, true)
    if (isAgain) this.changed(id, true)
  }

  /** Without this message the client would wait forever. */
  #lost(id: string, why: 'gone' | 'forbidden'): void {
    const handle = this.#handles.get(id)
    if (!handle) return
    // If the job has expired, waiting messages may still be sent.
    if (why === 'forbidden') handle.subscription.mute()
    this.#drop(id)
    const frame = buildFrame({ type: 'unsubscribed', process_id: id, code: 'not_found' })
    if (this.#isListed) this.#context.outbox.enqueue({ bytes: 0, seal: () => frame })
  }

  /** `hasEnded`: what was logged is still sent. */
  #drop(id: string, position: Position | undefined = this.#handles.get(id)?.subscription.position, hasEnded = false): void {
    const handle = this.#handles.get(id)
    if (!handle) return
    this.#handles.delete(id)
    this.#again.delete(id)
    this.#left.delete(id)
    if (position) this.#left.set(id, position)
    if (hasEnded) handle.finish()
    else handle.release()
    // There is room again.
    if (this.#isShort) this.#feed?.refresh()
    this.#isShort = false
  }

  async #resync(): Promise<void> {
    const { outbox } = this.#context
    const behind = [...this.#handles.values()].filter((handle) => handle.subscription.isLagging)
    if (!this.#isBehind && behind.length === 0) return
    const index = await this.#feed?.index()
    const [ended] = await Promise.all([this.#peek(index?.ended ?? []), ...behind.map((handle) => handle.prepare())])
    // The backlog was dropped once more. Another resync follows once it has drained.
    if (this.#released || outbox.isOverflowed) return
    this.#isBehind = false
    this.#list(ended, true)
    let left = behind[0]?.maxReplayBytes ?? 0
    for (const handle of behind) {
      const isWaiting = handle.subscription.isLagging && this.#handles.get(handle.id) === handle
      if (isWaiting) left -= handle.start('snapshot', true, left)
    }
  }

  async #peek(ids: readonly string[]): Promise<JobState[]> {
    const { hub, policy, identity } = this.#context
    const states = await Promise.all(ids.map((id) => hub.peek(id)))
    return states.flatMap((state) => (state && policy.mayView(identity(), state.owner) ? [state] : []))
  }

  /** Sends the list of this turn. It sets the client's position in each process that it names. */
  #list(peeked: readonly JobState[], resync = false): void {
    const states = [...this.#handles.values()].flatMap(({ state }) => state ?? [])
    const active = states.filter(({ status }) => !isFinal(status))
    const justEnded = states.filter(({ status }) => isFinal(status))
    const ended = peeked.filter(({ id, status }) => isFinal(status) && !this.#handles.has(id))
    this.#left.list(ended)
    const list = {
      type: 'process_list',
      processes: active.map(processView),
      recent: [...justEnded, ...ended].map(processView),
      ...(resync && { resync }),
      timestamp: storeClock.stamp(),
    }
    const frame = buildFrame(list)
    const seal = () => {
      this.#listLeft()
      return frame
    }
    this.#context.outbox.enqueue({ bytes: 0, seal })
    this.#isListed = true
  }

  /** Runs an action after the earlier ones. Rejects as it does, or with `rate_limited` if too many wait. */
  async #inOrder(act: () => Promise<void>): Promise<void> {
    const { size, pending } = this.#requests
    if (size + pending >= MAX_WAITING)
      throw new RuncastError('rate_limited', `At most ${MAX_WAITING} requests may wait; wait for earlier responses.`)
    await this.#requests.add(act)
  }

  /** Changes of other jobs are sent after the first list. */
  #listLeft(): void {
    const early = this.#early ?? []
    this.#early = null
    this.#left.confirm()
    this.#requests.start()
    for (const [id, isNews] of early) this.changed(id, isNews)
  }
}

/** Whether a client at this position has received everything of an execution that has ended. */
function isDelivered(state: JobState | null, at: Position | undefined): boolean {
  return state !== null && at !== undefined && isFinal(state.status) && at.epoch === state.epoch && at.seq >= state.seq
}

/** What a request asks for. */
function wishOf({ dialect, log, log_after: n, log_epoch, series, artifacts, health }: Extract<ClientMessage, { type: 'subscribe' }>): Wish {
  const after = n === undefined ? {} : { after: { n, epoch: log_epoch ?? null } }
  const telemetry = {
    ...(log && { log: after }),
    ...(series && { series: true as const }),
    ...(artifacts && { artifacts: true as const }),
    ...(health && { health: true as const }),
  }
  return { ...(dialect === 'run' && { dialect: runDialect }), telemetry }
}
