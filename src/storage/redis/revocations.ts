import { randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
import type { Identity } from '../../core/identity.js'
import { RuncastError } from '../../protocol/codes.js'
import { idOf, isAhead, isHolding, type Revocation, RevocationList, type Revocations, type StoredRevocation } from '../revocations.js'
import { asked } from '../store-fault.js'
import type { CommandConnection } from './connection.js'
import type { RedisKeys } from './keys.js'

/** Half of what is promised, so that a node whose subscription is deaf keeps the promise too. */
const LOOK_INTERVAL_MS = 500

export interface RevocationsOptions {
  readonly commands: CommandConnection
  /** For this alone; closed by `close`. */
  readonly subscriptions: Redis
  readonly keys: RedisKeys
  readonly onFault?: (error: unknown) => void
}

/**
 * Revocations in Redis, with a mirror of them in this process, so that asking costs nothing. Word comes over a channel; the mirror is read anew at start, after each
 * reconnect, and whenever the version in Redis, which is looked at twice a second, is not the mirror's own: then a message was lost. What Redis has lost the mirror
 * writes back.
 * While Redis cannot be reached a node goes on with what it knows.
 */
export class RedisRevocations implements Revocations {
  readonly #options: RevocationsOptions
  readonly #list = new RevocationList()
  readonly #timer: NodeJS.Timeout
  #listener: () => void = () => {}
  /** Of what the mirror holds; null before it holds anything. */
  #version: string | null = null
  #looking: Promise<void> | undefined
  #closed = false

  constructor(options: RevocationsOptions) {
    this.#options = options
    const { subscriptions, keys } = options
    subscriptions.on('message', (channel: string, message: string) => channel === keys.revoked() && this.#receive(message))
    subscriptions.on('ready', () => void this.#restore())
    this.#timer = setInterval(() => this.#lookAgain(), LOOK_INTERVAL_MS).unref()
    this.#lookAgain()
  }

  async ready(): Promise<void> {
    if (this.#version === null) await this.#look()
  }

  isRevoked(identity: Identity): boolean {
    return this.#list.isRevoked(identity)
  }

  listen(listener: () => void): void {
    this.#listener = listener
  }

  async revoke(revocation: Revocation): Promise<void> {
    const id = idOf(revocation)
    const before = 'before' in revocation ? revocation.before : 0
    const { until } = revocation
    // By both clocks, so that it holds on this node too.
    const revokedAt = until > Date.now() ? await this.#write('revoke', { id, before, until }) : 0
    if (revokedAt === 0) throw new RuncastError('invalid', { issues: [{ path: '/expires_at', expected: 'a time in the future' }] })
    // Here it holds at once, even where the channel is slow.
    this.#add([{ id, before, until, revokedAt, undoneAt: 0 }])
  }

  async undo(id: string): Promise<boolean> {
    await this.ready()
    const undoneAt = await this.#write('undo', { id, before: 0, until: 0 })
    const known = this.#list.find(id)
    if (undoneAt > 0 && known) this.#add([{ ...known, undoneAt }])
    return undoneAt > 0
  }

  list(): readonly StoredRevocation[] {
    const now = Date.now()
    const holding = this.#list.all.filter((entry) => isHolding(entry) && entry.until > now)
    return holding.sort((a, b) => b.revokedAt - a.revokedAt || (a.id < b.id ? -1 : 1))
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#timer)
    this.#options.subscriptions.disconnect()
  }

  /** With what this node knows of it: the Redis may have lost that. Answers when it was revoked or undone, by Redis; 0 where there was nothing to do. */
  async #write(
    act: 'revoke' | 'undo' | 'restore',
    { id, before, until }: Pick<StoredRevocation, 'id' | 'before' | 'until'>,
  ): Promise<number> {
    const { commands, keys } = this.#options
    const { revokedAt, undoneAt } = this.#list.find(id) ?? { revokedAt: 0, undoneAt: 0 }
    const names = [keys.revocations(), keys.revocationEnds(), keys.revocationVersion(), keys.revocationMarks(), keys.revoked()]
    return asked(commands.runcastRevoke(...names, id, before, until, randomUUID(), act, revokedAt, undoneAt))
  }

  #receive(message: string): void {
    const [from, to = '', before, until, ...rest] = message.split(' ')
    const text = rest.join(' ')
    const isUndone = text.startsWith(UNDONE)
    const at = Number(/@(\d+)$/.exec(to)?.[1] ?? 1)
    const marks = isUndone ? `0 ${at}` : `${at} 0`
    const entry = readEntry(isUndone ? text.slice(UNDONE.length) : text, `${before} ${until}`, marks)
    if (entry) this.#add([entry])
    // A message before this one is missing: the version stays what it was, and the next look reads everything.
    if (from === this.#version) this.#version = to
    else this.#lookAgain()
  }

  /** Subscribed first and read after, so that nothing falls between. */
  async #restore(): Promise<void> {
    try {
      await asked(this.#options.subscriptions.subscribe(this.#options.keys.revoked()))
      await this.#looking
      await this.#look()
    } catch (error) {
      this.#notify(error)
      if (!this.#closed && this.#options.subscriptions.status === 'ready') this.#options.subscriptions.disconnect(true)
    }
  }

  #lookAgain(): void {
    this.#look().catch((error: unknown) => this.#notify(error))
  }

  /** That Redis is away is told by the connections themselves. */
  #notify(error: unknown): void {
    if (!this.#closed && !(error instanceof RuncastError)) this.#options.onFault?.(error)
  }

  /** Compares versions and reads everything where they differ. Concurrent callers share one look. */
  #look(): Promise<void> {
    this.#looking ??= this.#compare().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  async #compare(): Promise<void> {
    const { commands, keys } = this.#options
    this.#list.forget(Date.now())
    const version = (await asked(commands.get(keys.revocationVersion()))) ?? '-'
    if (version === this.#version) return
    // Read after the version: what comes between is read now and once more at the next look, but never missed.
    const [values, marks] = await asked(Promise.all([commands.hgetall(keys.revocations()), commands.hgetall(keys.revocationMarks())]))
    const stored = Object.entries(values).flatMap(([id, value]) => readEntry(id, value, marks[id]) ?? [])
    this.#add(stored)
    await this.#restoreLost(new Map(stored.map((entry) => [entry.id, entry])))
    this.#version = version
  }

  /** A Redis that has failed over, or was restored, may lack what this node knows: it is written back, for nodes that start later. */
  async #restoreLost(stored: ReadonlyMap<string, StoredRevocation>): Promise<void> {
    for (const entry of this.#list.all) {
      const there = stored.get(entry.id)
      if (!there || isAhead(entry, there)) await this.#write('restore', entry)
    }
  }

  #add(entries: readonly StoredRevocation[]): void {
    const news = entries.filter((entry) => entry.until > Date.now() && this.#list.add(entry))
    if (news.length > 0) this.#listener()
  }
}

/** Begins the field of a message that undoes. */
const UNDONE = 'undo:'

/** Null for what is no entry: somebody else has written there. `marks`: absent where an older version has written it. */
function readEntry(id: string, value: string, marks = '1 0'): StoredRevocation | null {
  const numbers = `${value} ${marks}`.split(' ').map(Number)
  const [before, until, revokedAt, undoneAt] = numbers
  if (!/^(jti|sub):/.test(id) || numbers.length !== 4 || !numbers.every(Number.isFinite)) return null
  if (before === undefined || until === undefined || revokedAt === undefined || undoneAt === undefined) return null
  return { id, before, until, revokedAt, undoneAt }
}
