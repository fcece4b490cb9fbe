import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'

// biome-ignore lint/suspicious/noExplicitAny: the tests look at whatever came
export type Message = any

const TIMEOUT_MS = 60_000

/** A WebSocket client that keeps everything it got, as text and parsed, and lets a test wait for facts instead of time. */
export class TestClient {
  readonly texts: string[] = []
  readonly messages: Message[] = []
  readonly opened: Promise<unknown>
  readonly closed: Promise<{ code: number; reason: string }>
  readonly socket: WebSocket
  #read = 0
  #wake: () => void = () => {}

  constructor(url: string, headers: Readonly<Record<string, string>> = {}) {
    this.socket = new WebSocket(url, { headers })
    this.opened = once(this.socket, 'open')
    this.socket.on('message', (data: Buffer) => {
      const text = data.toString()
      this.texts.push(text)
      this.messages.push(JSON.parse(text))
      this.#wake()
    })
    this.closed = new Promise((resolve) => {
      this.socket.on('close', (code, reason) => {
        resolve({ code, reason: reason.toString() })
        this.#wake()
      })
    })
    this.socket.on('error', () => {})
  }

  /** The next message not yet read, or the next of a type, passing over others. Rejects after 60 s or when the socket closes before. */
  async next(type?: string): Promise<Message> {
    const deadline = Date.now() + TIMEOUT_MS
    for (;;) {
      while (this.#read < this.messages.length) {
        const message = this.messages[this.#read++]
        if (type === undefined || message.type === type) return message
      }
      const left = deadline - Date.now()
      if (this.socket.readyState === WebSocket.CLOSED) throw new Error(`the socket closed before ${type ?? 'a message'} came`)
      if (left <= 0) throw new Error(`no ${type ?? 'message'} within ${TIMEOUT_MS} ms; got ${this.texts.slice(-5).join(' ')}`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  /** Resolves when nothing came for `ms`: for claims of absence. */
  async silence(ms: number): Promise<void> {
    const before = this.messages.length
    await sleep(ms)
    if (this.messages.length > before) throw new Error(`not silent: ${this.texts.slice(before).join(' ')}`)
  }

  send(message: unknown): void {
    this.socket.send(typeof message === 'string' || Buffer.isBuffer(message) ? message : JSON.stringify(message))
  }

  /** Stops reading from the TCP socket, as a suspended tab does. */
  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  async close(): Promise<void> {
    this.socket.close()
    await this.closed
  }

  terminate(): void {
    this.socket.terminate()
  }
}
