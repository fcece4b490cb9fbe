import { randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
import { asked, storeFaultOf } from '../store-fault.js'
import type { CommandConnection } from './connection.js'
import type { RedisKeys } from './keys.js'

/** Handler of one channel. `gap`: messages may have been missed. */
export interface ChannelHandler {
  message(body: Buffer): void
  gap(): void
}

const BATCH = 512
const PROBE_INTERVAL_MS = 5000
const PROBE_TIMEOUT_MS = 2000

/**
 * hop 5: from publish.lua to broker. The channels of this node.
 * It has its own connection. After a reconnect it subscribes to every channel again, waits for the acknowledgements,
 * and only then reports the gap. A reader that reads after this report therefore sees everything that was not
 * delivered. A probe that the node sends to itself detects a connection that is open but receives nothing.
 */
export class RedisSubscriber {
  readonly #connection: Redis
  readonly #commands: CommandConnection
  readonly #probeChannel: string
  readonly #onFault: (error: Error) => void
  readonly #wanted = new Map<string, ChannelHandler>()
  readonly #probeTimer: NodeJS.Timeout
  #restored = false
  /**
   * Resolves once the first connection is ready or has failed: a process that has just started may be asked earlier.
   */
  readonly #opened: Promise<void>
  #isOpen: () => void = () => {}
  /** Counts connections, so that work begun on one connection is not completed on the next. */
  #connects = 0
  #probe: { promise: Promise<boolean>; received: () => void } | undefined
  #closed = false

  /** `onFault`: errors other than outages of Redis. */
  constructor(connection: Redis, commands: CommandConnection, keys: RedisKeys, onFault: (error: Error) => void = () => {}) {
    this.#onFault = onFault
    this.#connection = connection
    this.#commands = commands
    this.#probeChannel = keys.probe(randomUUID())
    connection.on('messageBuffer', (channel: Buffer, message: Buffer) => this.#receive(channel.toString(), message))
    this.#opened = new Promise((resolve) => {
      this.#isOpen = resolve
      connection.once('close', resolve)
      setTimeout(resolve, PROBE_TIMEOUT_MS).unref()
    })
    connection.on('ready', () => void this.#restore())
    connection.on('close', () => {
      this.#restored = false
      this.#connects += 1
    })
    this.#probeTimer = setInterval(() => void this.#probeLife(), PROBE_INTERVAL_MS).unref()
  }

  /** Resolves once the subscription is active. One handler per channel. */
  async subscribe(channel: string, handler: ChannelHandler): Promise<void> {
    this.#wanted.set(channel, handler)
    try {
      await asked(this.#connection.subscribe(channel))
    } catch (error) {
      // Keep the handler if another caller has subscribed meanwhile.
      if (this.#wanted.get(channel) === handler) this.#wanted.delete(channel)
      throw error
    }
  }

  async unsubscribe(channel: string): Promise<void> {
    this.#wanted.delete(channel)
    // Without a connection there is no subscription to cancel.
    if (this.#connection.status === 'ready') await asked(this.#connection.unsubscribe(channel))
  }

  /** Whether this node receives what it publishes, over both of its connections. Concurrent callers share one probe. */
  async ready(): Promise<boolean> {
    await this.#opened
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
    if (channel === this.#probeChannel) return this.#probe?.received()
    const handler = this.#wanted.get(channel)
    try {
      handler?.message(message)
    } catch (error) {
      // One message that cannot be handled, such as one of another program, must not end the process.
      this.#onFault(error instanceof Error ? error : new Error('a message could not be handled', { cause: error }))
      handler?.gap()
    }
  }

  async #restore(): Promise<void> {
    const connect = this.#connects
    try {
      await this.#connection.subscribe(this.#probeChannel)
      const wanted = [...this.#wanted]
      for (let i = 0; i < wanted.length; i += BATCH) {
        const batch = wanted.slice(i, i + BATCH).flatMap(([channel]) => (this.#wanted.has(channel) ? channel : []))
        if (batch.length > 0) await this.#connection.subscribe(...batch)
      }
      if (connect !== this.#connects) return
      this.#restored = true
      this.#isOpen()
      for (const [, handler] of wanted) handler.gap()
    } catch (error) {
      if (error instanceof Error && storeFaultOf(error) === null) this.#onFault(error)
      // The connection broke during the restore, so the subscriptions are incomplete. The next `ready` starts over.
      if (!this.#closed && connect === this.#connects) this.#connection.disconnect(true)
    }
  }

  async #probeLife(): Promise<void> {
    if (this.#restored && !(await this.ready()) && !this.#closed) this.#connection.disconnect(true)
  }

  #startProbe(): { promise: Promise<boolean>; received: () => void } {
    let settle: (isAlive: boolean) => void = () => {}
    const promise = new Promise<boolean>((resolve) => {
      settle = resolve
    }).finally(() => {
      this.#probe = undefined
      clearTimeout(timer)
    })
    const timer = setTimeout(() => settle(false), PROBE_TIMEOUT_MS)
    this.#commands.publish(this.#probeChannel, '1').catch(() => settle(false))
    return { promise, received: () => settle(true) }
  }
}
