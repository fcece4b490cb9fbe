import { Redis } from 'ioredis'
import type { Entry } from '../../../src/core/entry.js'
import { isFinal, type Status } from '../../../src/protocol/status.js'
import { readEnvelope } from '../../../src/storage/envelope.js'
import { RedisKeys } from '../../../src/storage/redis/keys.js'

/** An entry as it was published. Of a tick the body is kept as well: what it says may only rise. */
export interface Published extends Entry {
  /** Which connection of the witness heard it: between two of them entries may be missing. */
  readonly line: number
}

interface WriterSample {
  readonly round: number
  readonly token: number
  readonly n: number
  readonly seq: number
}

const PREFIX = 'runcast'
const CHANNEL = /^runcast:\{(.+)\}:live$/

/**
 * Hears everything that is published about any job, on a connection that no fault cuts, and after each entry looks at the job's writer: so it knows the order in
 * which Redis did what, and who has spoken after whom.
 */
export class Witness {
  readonly keys = new RedisKeys(PREFIX)
  readonly commands: Redis
  /** Violations of what may only rise. */
  readonly faults: string[] = []
  readonly #subscriber: Redis
  readonly #published = new Map<string, Published[]>()
  readonly #writers = new Map<string, WriterSample>()
  readonly #statuses = new Map<string, Status>()
  #line = 0
  #heard = 0
  readonly #waiting = new Set<() => void>()

  private constructor(url: string) {
    const options = { maxRetriesPerRequest: null, retryStrategy: () => 20 }
    this.commands = new Redis(url, { ...options, connectionName: 'witness' })
    this.#subscriber = new Redis(url, { ...options, connectionName: 'witness', autoResubscribe: false })
    for (const connection of [this.commands, this.#subscriber]) connection.on('error', () => {})
    this.#subscriber.on('pmessageBuffer', (_pattern: Buffer, channel: Buffer, envelope: Buffer) => {
      const [, id] = CHANNEL.exec(channel.toString()) ?? []
      if (id !== undefined) this.#hear(id, envelope)
    })
    this.#subscriber.on('close', () => {
      this.#line += 1
    })
  }

  static async start(url: string): Promise<Witness> {
    const witness = new Witness(url)
    const subscribe = () => witness.#subscriber.psubscribe(`${PREFIX}:{*}:live`)
    await subscribe()
    witness.#subscriber.on('ready', () => subscribe().catch(() => {}))
    return witness
  }

  /** How many entries there were: while it rises, something goes on. */
  get heard(): number {
    return this.#heard
  }

  /** Resolves with the next entry of any job, or when nobody wants to wait any more. */
  async next(over: AbortSignal): Promise<void> {
    if (over.aborted) return
    await new Promise<void>((resolve) => {
      const wake = () => {
        this.#waiting.delete(wake)
        over.removeEventListener('abort', wake)
        resolve()
      }
      this.#waiting.add(wake)
      over.addEventListener('abort', wake)
    })
  }

  published(id: string): readonly Published[] {
    return this.#published.get(id) ?? []
  }

  /** As far as it was published: good for deciding when to act, not for judging. */
  status(id: string): Status | undefined {
    return this.#statuses.get(id)
  }

  get active(): number {
    return [...this.#statuses.values()].filter((status) => !isFinal(status)).length
  }

  /** Closes the connections of the system under test to Redis, all of one type. Answers how many. */
  async cut(type: 'normal' | 'pubsub'): Promise<number> {
    const list = String(await this.commands.call('CLIENT', 'LIST', 'TYPE', type))
    const others = list.split('\n').filter((line) => line !== '' && !line.includes('name=witness'))
    for (const line of others) await this.commands.call('CLIENT', 'KILL', 'ID', /\bid=(\d+)/.exec(line)?.[1] ?? '')
    return others.length
  }

  close(): void {
    this.#subscriber.disconnect()
    this.commands.disconnect()
  }

  #hear(id: string, envelope: Buffer): void {
    const entry = readEnvelope(id, envelope)
    this.#heard += 1
    const list = this.#published.get(id) ?? []
    list.push({ ...entry, line: this.#line })
    this.#published.set(id, list)
    if (entry.to) this.#statuses.set(id, entry.to)
    for (const wake of [...this.#waiting]) wake()
    void this.#look(id).catch(() => {}) // Redis is away: the next entry is looked at again
  }

  /** [STATE-3] Round, token and n of the last writer, and seq, only rise. */
  async #look(id: string): Promise<void> {
    const [round, token, n, seq] = (await this.commands.hmget(this.keys.job(id), 'round', 'token', 'n', 'seq')).map(Number)
    const now = { round: round ?? 0, token: token ?? 0, n: n ?? 0, seq: seq ?? 0 }
    const before = this.#writers.get(id)
    this.#writers.set(id, now)
    if (!before) return
    const isOlder = now.round < before.round || now.seq < before.seq
    const isZombie = now.round === before.round && (now.token < before.token || (now.token === before.token && now.n < before.n))
    if (isOlder || isZombie)
      this.faults.push(`${id}: a zombie wrote: the writer went from ${JSON.stringify(before)} to ${JSON.stringify(now)}`)
  }
}
