import PQueue from 'p-queue'
import { processDialect, processView } from '../../core/dialect.js'
import type { Position } from '../../core/entry.js'
import type { JobState } from '../../core/job-state.js'
import { storeClock } from '../../core/store-clock.js'
import type { ClientMessageType, ScopeMessage } from '../../protocol/client-messages.js'
import { RuncastError } from '../../protocol/codes.js'
import { isJobId } from '../../protocol/job-id.js'
import { isFinal } from '../../protocol/status.js'
import { buildFrame } from '../frame.js'
import type { Following } from '../hub.js'
import { type RecentMap, recentMap } from '../recent-map.js'
import type { Follower } from './feed.js'
import { ResumePositions } from './resume-positions.js'
import type { BuildScope, Scope, ScopeContext } from './scope.js'
import type { SubscribeOptions, SubscriptionHandle } from './subscription-handle.js'

export interface UserScopeLimits {
  /** Most jobs that one client follows; of more active ones it gets the newest. */
  readonly maxSubscriptions: number
}

/** Most jobs that have ended or were left whose positions are remembered, so that a later round goes on where the client is. */
const MAX_LEFT = 1024
/** Most requests of one client that wait for their turn. */
const MAX_WAITING = 64

/** A session that follows all jobs of its user, in the process dialect: those that are there, and those that are announced. */
export function userScope(limits: UserScopeLimits): BuildScope {
  return (context) => new UserScope(context, limits)
}

class UserScope implements Scope, Follower {
  readonly accepts: readonly ClientMessageType[] = ['ping', 'auth', 'subscribe', 'unsubscribe', 'cancel_process']
  readonly #context: ScopeContext
  readonly #limits: UserScopeLimits
  readonly #handles = new Map<string, SubscriptionHandle>()
  /** Where the client is in jobs that it does not follow any more. */
  readonly #left = new ResumePositions(MAX_LEFT)
  /** Jobs that the client does not want to follow: all that it may have unsubscribed from, as the feed names them again. */
  #unwanted: RecentMap<true> | undefined
  /** Announced before the list has left; null from then on. */
  #early: Map<string, boolean> | null = new Map()
  #isListed = false
  readonly #opening = new Set<string>()
  /** Announced while they were held or being opened: perhaps another round, perhaps nothing new. */
  readonly #again = new Set<string>()
  /** What the client asks for waits until its list has left, since an answer overtakes what waits. */
  readonly #requests = new PQueue({ concurrency: 1, autoStart: false })
  /** There were more jobs than it may follow. */
  #isShort = false
  #resyncing: Promise<void> = Promise.resolve()
  /** Its last list may have been dropped with its backlog. */
  #isBehind = false
  #following: Following | undefined
  #released = false

  constructor(context: ScopeContext, limits: UserScopeLimits) {
    this.#context = context
    this.#limits = limits
  }

  async open(): Promise<void> {
    const { hub, identity } = this.#context
    this.#following = hub.follow(identity().sub, this)
    const roll = await this.#following.index()
    if (this.#released) return
    const active = roll.active.slice(0, this.#limits.maxSubscriptions)
    const [ended] = await Promise.all([this.#look(roll.ended), ...active.map((id) => this.#take(id))])
    if (this.#released) return
    this.#list(ended)
    for (const hold of [...this.#handles.values()]) hold.start('listed')
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
    const { process_id } = message as { process_id: string } // each message of this scope names a process
    switch (message.type) {
      case 'subscribe': {
        const { after, epoch } = message
        return this.#inOrder(() => this.#subscribe(process_id, after !== undefined && epoch !== undefined ? { epoch, seq: after } : null))
      }
      case 'unsubscribe':
        return this.#inOrder(() => this.#unsubscribe(process_id))
      case 'cancel_process':
        return send({ type: 'cancel_accepted', process_id, status: await policy.cancel(identity(), process_id) })
      default:
        throw new RuncastError('invalid')
    }
  }

  fallBehind(): void {
    this.#isBehind = true
    this.#left.revert()
    for (const hold of this.#handles.values()) hold.subscription.fallBehind()
  }

  /** One after the other: what one has prepared is true only as long as no other begins it. */
  resync(): Promise<void> {
    this.#resyncing = this.#resyncing.then(() => this.#resync())
    return this.#resyncing
  }

  recheck(): void {
    for (const hold of [...this.#handles.values()]) hold.recheck()
  }

  release(): void {
    this.#released = true
    this.#following?.leave()
    for (const hold of this.#handles.values()) hold.release()
    this.#handles.clear()
  }

  get #isFull(): boolean {
    return this.#handles.size + this.#opening.size >= this.#limits.maxSubscriptions
  }

  /** A job of the list. It is kept as soon as it is there, so that whatever ends the session in the meantime releases it. */
  async #take(id: string): Promise<void> {
    const hold = await this.#context.hub.subscribe(this.#subscribeOptions(id))
    if (hold && !this.#isKept(hold)) hold.release()
  }

  #isKept(hold: SubscriptionHandle): boolean {
    if (this.#released || this.#handles.has(hold.id) || this.#unwanted?.has(hold.id)) return false
    this.#handles.set(hold.id, hold)
    return true
  }

  /** A job that was announced: by its entries, from where the client is. */
  async #follow(id: string): Promise<void> {
    const left = this.#left.get(id)
    const hold = await this.#context.hub.subscribe({ ...this.#subscribeOptions(id), after: left ?? 'start' })
    if (!hold) return
    try {
      // What this node knows of the job may be older than the index change.
      if (isDelivered(hold.state, left)) await hold.refresh()
    } catch (error) {
      hold.release()
      throw error
    }
    // A list has set the client's position in the meantime: once more, from there.
    const isMoved = this.#left.get(id) !== left
    if (isMoved) this.#again.add(id)
    if (!hold.state || isMoved || isDelivered(hold.state, left) || !this.#isKept(hold)) return hold.release()
    hold.start('log')
  }

  /** What was announced in the meantime may be news that came after the look. */
  #opened(id: string): void {
    this.#opening.delete(id)
    if (!this.#handles.has(id) && this.#again.delete(id)) this.changed(id, true)
  }

  async #subscribe(id: string, after: Position | null): Promise<void> {
    const { hub } = this.#context
    if (!this.#handles.has(id) && this.#isFull)
      throw new RuncastError('rate_limited', `At most ${this.#limits.maxSubscriptions} processes are followed at a time.`)
    const hold = isJobId(id) ? await hub.subscribe({ ...this.#subscribeOptions(id), ...(after && { after }) }) : null
    if (!hold) throw new RuncastError('not_found')
    if (this.#released) return hold.release()
    this.#unwanted?.delete(id)
    // In this turn the new hold takes over from the old one: what still waits belongs to no position that the client will have.
    const old = this.#handles.get(id)
    old?.subscription.silence()
    old?.release()
    this.#handles.set(id, hold)
    hold.start('snapshot')
  }

  async #unsubscribe(id: string): Promise<void> {
    this.#unwanted ??= recentMap(Math.max(MAX_LEFT, this.#limits.maxSubscriptions))
    this.#unwanted.set(id, true)
    // The answer goes first, so what still waits may not follow it.
    this.#handles.get(id)?.subscription.silence()
    this.#drop(id)
    this.#context.send({ type: 'unsubscribed', process_id: id })
  }

  #subscribeOptions(id: string): SubscribeOptions {
    const { policy, outbox, identity } = this.#context
    return {
      id,
      dialect: processDialect,
      outbox,
      mayView: (state) => policy.mayView(identity(), state.owner),
      lost: (why) => this.#lost(id, why),
      ended: (seq) => this.#ended(id, seq),
    }
  }

  /** Another round of an own job is announced, unless it has begun before the end of this one has left; nobody announces that of another user's. */
  #ended(id: string, seq: number): void {
    const state = this.#handles.get(id)?.state
    if (!state || !isFinal(state.status) || state.seq !== seq || state.owner !== this.#context.identity().sub) return
    const isAgain = this.#again.has(id)
    this.#drop(id, state)
    if (isAgain) this.changed(id, true)
  }

  /** Without a word the client would wait for ever. */
  #lost(id: string, why: 'gone' | 'forbidden'): void {
    const hold = this.#handles.get(id)
    if (!hold) return
    // Of a job that has expired, what waits is still the client's.
    if (why === 'forbidden') hold.subscription.silence()
    this.#drop(id)
    const frame = buildFrame({ type: 'unsubscribed', process_id: id, code: 'not_found' })
    if (this.#isListed) this.#context.outbox.enqueue({ bytes: 0, seal: () => frame })
  }

  #drop(id: string, position: Position | undefined = this.#handles.get(id)?.subscription.position): void {
    const hold = this.#handles.get(id)
    if (!hold) return
    this.#handles.delete(id)
    this.#again.delete(id)
    this.#left.delete(id)
    if (position) this.#left.set(id, position)
    hold.release()
    // There is room again.
    if (this.#isShort) this.#following?.refresh()
    this.#isShort = false
  }

  async #resync(): Promise<void> {
    const { outbox } = this.#context
    const behind = [...this.#handles.values()].filter((hold) => hold.subscription.isLagging)
    if (!this.#isBehind && behind.length === 0) return
    const roll = await this.#following?.index()
    const [ended] = await Promise.all([this.#look(roll?.ended ?? []), ...behind.map((hold) => hold.prepare())])
    // Dropped once more: once that is drained comes another one.
    if (this.#released || outbox.isOverflowed) return
    this.#isBehind = false
    this.#list(ended, true)
    let left = behind[0]?.maxReplayBytes ?? 0
    for (const hold of behind) {
      const isWaiting = hold.subscription.isLagging && this.#handles.get(hold.id) === hold
      if (isWaiting) left -= hold.start('snapshot', true, left)
    }
  }

  async #look(ids: readonly string[]): Promise<JobState[]> {
    const { hub, policy, identity } = this.#context
    const states = await Promise.all(ids.map((id) => hub.look(id)))
    return states.flatMap((state) => (state && policy.mayView(identity(), state.owner) ? [state] : []))
  }

  /** The list of this very turn. It sets the client's position in each process that it names. */
  #list(looked: readonly JobState[], resync = false): void {
    const states = [...this.#handles.values()].flatMap(({ state }) => state ?? [])
    const active = states.filter(({ status }) => !isFinal(status))
    const justEnded = states.filter(({ status }) => isFinal(status))
    const ended = looked.filter(({ id, status }) => isFinal(status) && !this.#handles.has(id))
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

  /** Runs an act after those before it. Rejects as it does, or with `rate_limited` where too many wait. */
  async #inOrder(act: () => Promise<void>): Promise<void> {
    const { size, pending } = this.#requests
    if (size + pending >= MAX_WAITING) throw new RuncastError('rate_limited', 'Too many requests wait for an answer.')
    await this.#requests.add(act)
  }

  /** Whatever comes of other jobs comes after the first list. */
  #listLeft(): void {
    const early = this.#early ?? []
    this.#early = null
    this.#left.confirm()
    this.#requests.start()
    for (const [id, isNews] of early) this.changed(id, isNews)
  }
}

/** Whether a client at this position has been told all that there is of a round that has ended. */
function isDelivered(state: JobState | null, at: Position | undefined): boolean {
  return state !== null && at !== undefined && isFinal(state.status) && at.epoch === state.epoch && at.seq >= state.seq
}
