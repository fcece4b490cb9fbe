import type { ClientMessageType, ScopeMessage } from '../protocol/client-messages.js'
import { Refusal } from '../protocol/codes.js'
import { processDialect, processView } from '../protocol/dialect.js'
import type { Position } from '../protocol/entry.js'
import { isJobId } from '../protocol/job-id.js'
import type { JobState } from '../protocol/job-state.js'
import { isFinal } from '../protocol/status.js'
import type { Follower } from './feed.js'
import { buildFrame } from './frame.js'
import type { Hold, Wish } from './hold.js'
import type { Following } from './hub.js'
import type { BuildScope, Scope, ScopeContext } from './scope.js'

export interface UserScopeLimits {
  /** Most jobs that one client follows; of more active ones it gets the newest. */
  readonly maxSubscriptions: number
}

/** Most jobs that have ended or were left whose positions are remembered, so that a later round goes on where the client is. */
const MAX_LEFT = 256

/** A session that follows all jobs of its user, in the process dialect: those that are there, and those that are announced. */
export function userScope(limits: UserScopeLimits): BuildScope {
  return (context) => new UserScope(context, limits)
}

class UserScope implements Scope, Follower {
  readonly accepts: readonly ClientMessageType[] = ['ping', 'auth', 'subscribe', 'unsubscribe', 'cancel_process']
  readonly #context: ScopeContext
  readonly #limits: UserScopeLimits
  readonly #holds = new Map<string, Hold>()
  /** Where the client is in jobs that it does not follow any more. */
  readonly #left = new Map<string, Position>()
  /** Jobs that the client does not want to follow. */
  readonly #unwanted = new Set<string>()
  /** Announced while the list was being made; null once it is there. */
  #early: Set<string> | null = new Set()
  readonly #opening = new Map<string, Promise<void>>()
  #following: Following | undefined
  #released = false

  constructor(context: ScopeContext, limits: UserScopeLimits) {
    this.#context = context
    this.#limits = limits
  }

  async open(): Promise<void> {
    const { hub, identity } = this.#context
    this.#following = hub.follow(identity().sub, this)
    const roll = await this.#following.roll()
    const active = roll.active.slice(0, this.#limits.maxSubscriptions)
    const [holds, ended] = await Promise.all([Promise.all(active.map((id) => hub.hold(this.#wish(id)))), this.#look(roll.ended)])
    for (const hold of holds) if (hold) this.#holds.set(hold.id, hold)
    if (this.#released) return this.release()
    this.#list(ended)
    for (const hold of this.#holds.values()) hold.begin('listed')
    const early = this.#early ?? []
    this.#early = null
    for (const hold of [...this.#holds.values()]) if (hold.state && isFinal(hold.state.status)) this.#drop(hold.id, hold.state)
    for (const id of early) this.announced(id)
  }

  announced(id: string): void {
    if (this.#early) this.#early.add(id)
    else if (!this.#released && !this.#holds.has(id) && !this.#unwanted.has(id) && !this.#opening.has(id)) {
      if (this.#holds.size + this.#opening.size >= this.#limits.maxSubscriptions) return
      const opening = this.#follow(id).finally(() => this.#opening.delete(id))
      this.#opening.set(id, opening)
      this.#context.run(opening)
    }
  }

  async receive(message: ScopeMessage): Promise<void> {
    const { policy, identity, say } = this.#context
    const { process_id } = message as { process_id: string } // each message of this scope names a process
    switch (message.type) {
      case 'subscribe':
        return this.#subscribe(
          process_id,
          message.after !== undefined && message.epoch !== undefined ? { epoch: message.epoch, seq: message.after } : undefined,
        )
      case 'unsubscribe':
        this.#unwanted.add(process_id)
        if (this.#unwanted.size > MAX_LEFT) for (const oldest of [...this.#unwanted].slice(0, 1)) this.#unwanted.delete(oldest)
        this.#drop(process_id)
        return say({ type: 'unsubscribed', process_id })
      case 'cancel_process':
        return say({ type: 'cancel_accepted', process_id, status: await policy.cancel(identity(), process_id) })
      default:
        throw new Refusal('invalid')
    }
  }

  fallBehind(): void {
    for (const hold of this.#holds.values()) hold.subscription.fallBehind()
  }

  async resync(): Promise<void> {
    const roll = await this.#following?.roll()
    const [ended] = await Promise.all([this.#look(roll?.ended ?? []), ...[...this.#holds.values()].map((hold) => hold.prepare())])
    if (this.#released) return
    this.#list(ended, true)
    for (const hold of [...this.#holds.values()]) if (hold.subscription.isLagging) hold.begin('snapshot', true)
  }

  recheck(): void {
    for (const hold of [...this.#holds.values()]) hold.recheck()
  }

  release(): void {
    this.#released = true
    this.#following?.leave()
    for (const hold of this.#holds.values()) hold.release()
    this.#holds.clear()
  }

  /** A job that was announced: by its entries, from where the client is. */
  async #follow(id: string): Promise<void> {
    const left = this.#left.get(id)
    const hold = await this.#context.hub.hold({ ...this.#wish(id), after: left ?? 'start' })
    const state = hold?.state
    if (!hold || !state) return
    const isKnown = isFinal(state.status) && left?.epoch === state.epoch && left.seq >= state.seq
    if (this.#released || this.#holds.has(id) || isKnown) return hold.release()
    this.#holds.set(id, hold)
    hold.begin('log')
  }

  async #subscribe(id: string, after: Position | undefined): Promise<void> {
    const { hub } = this.#context
    const isNew = !this.#holds.has(id)
    if (isNew && this.#holds.size >= this.#limits.maxSubscriptions)
      throw new Refusal('rate_limited', `At most ${this.#limits.maxSubscriptions} processes are followed at a time.`)
    const hold = isJobId(id) ? await hub.hold({ ...this.#wish(id), ...(after && { after }), ended: () => {} }) : null
    if (!hold) throw new Refusal('not_found')
    if (this.#released) return hold.release()
    this.#unwanted.delete(id)
    // In this turn the new hold takes over from the old one.
    this.#holds.get(id)?.release()
    this.#holds.set(id, hold)
    hold.begin('snapshot')
  }

  #wish(id: string): Wish {
    const { policy, outbox, identity } = this.#context
    return {
      id,
      dialect: processDialect,
      outbox,
      mayView: (state) => policy.mayView(identity(), state.owner),
      lost: () => this.#drop(id),
      ended: () => this.#ended(id),
    }
  }

  /** Another round is announced again, unless it has begun before the end of this one has left. */
  #ended(id: string): void {
    const state = this.#holds.get(id)?.state
    if (state && isFinal(state.status)) this.#drop(id)
  }

  #drop(id: string, position: Position | undefined = this.#holds.get(id)?.subscription.position): void {
    const hold = this.#holds.get(id)
    if (!hold) return
    this.#holds.delete(id)
    this.#left.delete(id)
    if (position) this.#left.set(id, { epoch: position.epoch, seq: position.seq })
    if (this.#left.size > MAX_LEFT) for (const oldest of [...this.#left.keys()].slice(0, 1)) this.#left.delete(oldest)
    hold.release()
  }

  async #look(ids: readonly string[]): Promise<JobState[]> {
    const { hub, policy, identity } = this.#context
    const states = await Promise.all(ids.map((id) => hub.look(id)))
    return states.filter((state) => state !== null && isFinal(state.status) && policy.mayView(identity(), state.owner)) as JobState[] // null is filtered out
  }

  /** The list of this very turn. */
  #list(ended: readonly JobState[], resync = false): void {
    const states = [...this.#holds.values()].flatMap(({ state }) => state ?? [])
    const active = states.filter(({ status }) => !isFinal(status))
    const justEnded = states.filter(({ id, status }) => isFinal(status) && !ended.some((other) => other.id === id))
    const list = {
      type: 'process_list',
      processes: active.map(processView),
      recent: [...justEnded, ...ended].map(processView),
      ...(resync && { resync }),
      timestamp: new Date().toISOString(),
    }
    const frame = buildFrame(list)
    this.#context.outbox.enqueue({ bytes: 0, seal: () => frame })
  }
}
