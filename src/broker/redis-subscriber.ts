import { randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
import type { Entry } from '../protocol/entry.js'
import type { BrokerListener } from './broker.js'
import { readEnvelope } from './envelope.js'
import { asked, type CommandConnection } from './redis-connection.js'
import type { RedisKeys } from './redis-keys.js'

const BATCH = 512
const PROBE_INTERVAL_MS = 5000
const PROBE_TIMEOUT_MS = 2000

/**
 * hop 5: from publish.lua, to hub. Reads the head of each envelope; the body stays bytes.
 * The connection is its own: after a reconnect it subscribes to everything again, waits for the acknowledgements, and only then tells of the gap,
 * so that a reader who reads on that word sees everything that was not delivered. A connection that is open but deaf is found by hearing itself.
 */
export class RedisSubscriber {
  readonly #connection: Redis
  readonly #commands: CommandConnection
  readonly #keys: RedisKeys
  readonly #probeChannel: string
  readonly #wanted = new Set<string>()
  readonly #probeTimer: NodeJS.Timeout
  #listener: BrokerListener = { entry: () => {}, gap: () => {} }
  #restored = false
  /** Counts connections, so that what was begun on one is not ended on the next. */
  #connects = 0
  #probe: { promise: Promise<boolean>; heard: () => void } | undefined
  #closed = false

  constructor(connection: Redis, commands: CommandConnection, keys: RedisKeys) {
    this.#connection = connection
    this.#commands = commands
    this.#keys = keys
    this.#probeChannel = keys.probe(randomUUID())
    connection.on('messageBuffer', (channel: Buffer, message: Buffer) => this.#receive(channel.toString(), message))
    connection.on('ready', () => void this.#restore())
    connection.on('close', () => {
      this.#restored = false
      this.#connects += 1
    })
    this.#probeTimer = setInterval(() => void this.#probeLife(), PROBE_INTERVAL_MS).unref()
  }

  listen(listener: BrokerListener): void {
    this.#listener = listener
  }

  async subscribe(id: string): Promise<void> {
    this.#wanted.add(id)
    try {
      await asked(this.#connection.subscribe(this.#keys.live(id)))
    } catch (error) {
      this.#wanted.delete(id)
      throw error
    }
  }

  async unsubscribe(id: string): Promise<void> {
    this.#wanted.delete(id)
    // While the connection is gone there is nothing to leave.
    if (this.#restored) await this.#connection.unsubscribe(this.#keys.live(id))
  }

  /** Whether this node hears what it publishes, over both of its connections. Concurrent callers share one probe. */
  async ready(): Promise<boolean> {
    if (!this.#restored) return false
    this.#probe ??= this.#startProbe()
    return this.#probe.promise
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#probeTimer)
    this.#connection.disconnect()
  }

  #receive(channel: string, message: Buffer): void {
    if (channel === this.#probeChannel) return this.#probe?.heard()
    const id = this.#keys.idOfChannel(channel)
    const entry = parse(id, message)
    if (entry) this.#listener.entry(entry)
    else this.#listener.gap(id)
  }

  async #restore(): Promise<void> {
    const connect = this.#connects
    try {
      await this.#connection.subscribe(this.#probeChannel)
      const ids = [...this.#wanted]
      for (let i = 0; i < ids.length; i += BATCH) {
        await this.#connection.subscribe(...ids.slice(i, i + BATCH).map((id) => this.#keys.live(id)))
      }
      if (connect !== this.#connects) return
      this.#restored = true
      for (const id of ids) this.#listener.gap(id)
    } catch {
      // It broke again in the middle; what is half subscribed is of no use. The next `ready` starts over.
      if (!this.#closed && connect === this.#connects) this.#connection.disconnect(true)
    }
  }

  async #probeLife(): Promise<void> {
    if (this.#restored && !(await this.ready()) && !this.#closed) this.#connection.disconnect(true)
  }

  #startProbe(): { promise: Promise<boolean>; heard: () => void } {
    let settle: (heard: boolean) => void = () => {}
    const promise = new Promise<boolean>((resolve) => {
      settle = resolve
    }).finally(() => {
      this.#probe = undefined
      clearTimeout(timer)
    })
    const timer = setTimeout(() => settle(false), PROBE_TIMEOUT_MS)
    this.#commands.publish(this.#probeChannel, '1').catch(() => settle(false))
    return { promise, heard: () => settle(true) }
  }
}

/** Null for what is no envelope: somebody else has written to the channel. */
function parse(id: string, message: Buffer): Entry | null {
  try {
    return readEnvelope(id, message)
  } catch {
    return null
  }
}
