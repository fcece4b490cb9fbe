import { randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
import type { Identity } from '../hub/policy.js'
import { type Revocation, RevocationList, type Revocations } from '../hub/revocations.js'
import { Refusal } from '../protocol/codes.js'
import type { CommandConnection } from './redis-connection.js'
import type { RedisKeys } from './redis-keys.js'
import { asked } from './store-fault.js'

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
 * reconnect, and whenever the version in Redis, which is looked at twice a second, is not the mirror's own: then a message was lost. What Redis has lost the mirror keeps.
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
    const { commands, keys } = this.#options
    const [field, before] = 'jti' in revocation ? [`jti:${revocation.jti}`, 0] : [`sub:${revocation.sub}`, revocation.before]
    const args = [keys.revocations(), keys.revocationEnds(), keys.revocationVersion(), keys.revoked()]
    await asked(commands.runcastRevoke(...args, field, before, revocation.until, randomUUID()))
    // Here it holds at once, even where the channel is slow.
    this.#add([revocation])
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#timer)
    this.#options.subscriptions.disconnect()
  }

  #receive(message: string): void {
    const [from, to = '', before, until, ...rest] = message.split(' ')
    const revocation = readEntry(rest.join(' '), `${before} ${until}`)
    if (revocation) this.#add([revocation])
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
      this.#tell(error)
      if (!this.#closed && this.#options.subscriptions.status === 'ready') this.#options.subscriptions.disconnect(true)
    }
  }

  #lookAgain(): void {
    this.#look().catch((error: unknown) => this.#tell(error))
  }

  /** That Redis is away is told by the connections themselves. */
  #tell(error: unknown): void {
    if (!this.#closed && !(error instanceof Refusal)) this.#options.onFault?.(error)
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
    const entries = await asked(commands.hgetall(keys.revocations()))
    this.#add(Object.entries(entries).flatMap(([field, value]) => readEntry(field, value) ?? []))
    this.#version = version
  }

  #add(revocations: readonly Revocation[]): void {
    const news = revocations.filter((revocation) => revocation.until > Date.now() && this.#list.add(revocation))
    if (news.length > 0) this.#listener()
  }
}

/** Null for what is no entry: somebody else has written there. */
function readEntry(field: string, value: string): Revocation | null {
  const [before, until] = value.split(' ').map(Number)
  const [kind, id] = [field.slice(0, 4), field.slice(4)]
  if (before === undefined || until === undefined || !Number.isFinite(before) || !Number.isFinite(until)) return null
  if (kind === 'jti:') return { jti: id, until }
  return kind === 'sub:' ? { sub: id, before, until } : null
}
