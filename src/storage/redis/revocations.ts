import { randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
import type { Identity } from '../../core/identity.js'
import { RuncastError } from '../../protocol/codes.js'
import { idOf, isAhead, isHolding, type Revocation, RevocationList, type Revocations, type StoredRevocation } from '../revocations.js'
import { asked } from '../store-fault.js'
import type { CommandConnection } from './connection.js'
import type { RedisKeys } from './keys.js'

/** Half of the guaranteed delay (1 s), so that a node whose subscription receives nothing keeps the guarantee too. */
const CHECK_INTERVAL_MS = 500

export interface RevocationsOptions {
  readonly commands: CommandConnection
  /** Used only for revocations. `close` closes it. */
  readonly subscriptions: Redis
  readonly keys: RedisKeys
  readonly onFault?: (error: unknown) => void
}

/**
 * Revocations in Redis, with a mirror in this process, so that a check costs no command. Changes arrive over a channel.
 * The mirror is reloaded at start, after each reconnect, and whenever the version in Redis differs from the version of
 * the mirror, which means that a message was lost. The version is checked twice a second. If Redis has lost an entry,
 * the mirror writes it back.
 * While Redis cannot be reached, a node continues with what it knows.
 */
export class RedisRevocations implements Revocations {
  readonly #options: RevocationsOptions
  readonly #list = new RevocationList()
  readonly #timer: NodeJS.Timeout
  #listener: () => void = () => {}
  /** Version of the mirror; null before the first load. */
  #version: string | null = null
  #checking: Promise<void> | undefined
  #closed = false

  constructor(options: RevocationsOptions) {
    this.#options = options
    const { subscriptions, keys } = options
    subscriptions.on('message', (channel: string, message: string) => channel === keys.revoked() && this.#receive(message))
    subscriptions.on('ready', () => void this.#restore())
    this.#timer = setInterval(() => this.#checkAgain(), CHECK_INTERVAL_MS).unref()
    this.#checkAgain()
  }

  async ready(): Promise<void> {
    if (this.#version === null) await this.#check()
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
    // Checked by both clocks, so that the revocation takes effect on this node too.
    const revokedAt = until > Date.now() ? await this.#write('revoke', { id, before, until }) : 0
    if (revokedAt === 0) throw new RuncastError('invalid', { issues: [{ path: '/expires_at', expected: 'a time in the future' }] })
    // On this node it takes effect at once, even if the channel is slow.
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

  /**
   * Sends the known marks of the entry too, because Redis may have lost them. Resolves to the time when it was revoked
   * or undone, by the clock of Redis; 0 if nothing changed.
   */
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
    // A previous message is missing: the version stays unchanged, and the next check reloads everything.
    if (from === this.#version) this.#version = to
    else this.#checkAgain()
  }

  /** Subscribes first and reads afterwards, so that no change is missed in between. */
  async #restore(): Promise<void> {
    try {
      await asked(this.#options.subscriptions.subscribe(this.#options.keys.revoked()))
      await this.#checking
      await this.#check()
    } catch (error) {
      this.#report(error)
      if (!this.#closed && this.#options.subscriptions.status === 'ready') this.#options.subscriptions.disconnect(true)
    }
  }

  #checkAgain(): void {
    this.#check().catch((error: unknown) => this.#report(error))
  }

  /** Outages of Redis are reported by the connections themselves. */
  #report(error: unknown): void {
    if (!this.#closed && !(error instanceof RuncastError)) this.#options.onFault?.(error)
  }

  /** Compares versions and reloads everything if they differ. Concurrent callers share one check. */
  #check(): Promise<void> {
    this.#checking ??= this.#compare().finally(() => {
      this.#checking = undefined
    })
    return this.#checking
  }

  async #compare(): Promise<void> {
    const { commands, keys } = this.#options
    this.#list.forget(Date.now())
    const version = (await asked(commands.get(keys.revocationVersion()))) ?? '-'
    if (version === this.#version) return
    // Read after the version: a change in between is read now and again at the next check, but never missed.
    const [values, marks] = await asked(Promise.all([commands.hgetall(keys.revocations()), commands.hgetall(keys.revocationMarks())]))
    const stored = Object.entries(values).flatMap(([id, value]) => readEntry(id, value, marks[id]) ?? [])
    this.#add(stored)
    await this.#restoreLost(new Map(stored.map((entry) => [entry.id, entry])))
    this.#version = version
  }

  /**
   * After a failover or a restore, Redis may lack entries that this node knows. They are written back for nodes that
   * start later.
   */
  async #restoreLost(stored: ReadonlyMap<string, StoredRevocation>): Promise<void> {
    for (const entry of this.#list.all) {
      const known = stored.get(entry.id)
      if (!known || isAhead(entry, known)) await this.#write('restore', entry)
    }
  }

  #add(entries: readonly StoredRevocation[]): void {
    const changed = entries.filter((entry) => entry.until > Date.now() && this.#list.add(entry))
    if (changed.length > 0) this.#listener()
  }
}

/** Prefix of the field in a message that undoes a revocation. */
const UNDONE = 'undo:'

/**
 * Null if the text is not an entry: another program has written there. `marks` are absent if an older version wrote the
 * entry.
 */
function readEntry(id: string, value: string, marks = '1 0'): StoredRevocation | null {
  const numbers = `${value} ${marks}`.split(' ').map(Number)
  const [before, until, revokedAt, undoneAt] = numbers
  if (!/^(jti|sub):/.test(id) || numbers.length !== 4 || !numbers.every(Number.isFinite)) return null
  if (before === undefined || until === undefined || revokedAt === undefined || undoneAt === undefined) return null
  return { id, before, until, revokedAt, undoneAt }
}
