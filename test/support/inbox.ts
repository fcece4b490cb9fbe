import { setTimeout as sleep } from 'node:timers/promises'

// biome-ignore lint/suspicious/noExplicitAny: tests inspect arbitrary messages
export type Message = any

const TIMEOUT_MS = 60_000

/** Base of clients in tests: keeps all messages, as text and parsed, and lets a test wait for one of them. */
export abstract class Inbox {
  readonly texts: string[] = []
  readonly messages: Message[] = []
  #read = 0
  #isOver = false
  #wake: () => void = () => {}

  /** Resolves when the connection has closed, with the reason if there was one. */
  abstract readonly closed: Promise<{ code: number; reason: string }>
  /** Stops reading from the TCP socket, as a suspended tab does. */
  abstract pause(): void
  abstract resume(): void
  abstract terminate(): void

  /** The next unread message, or the next one of a type. Rejects after 60 s, or if the connection closes before. */
  async next(type?: string): Promise<Message> {
    const deadline = Date.now() + TIMEOUT_MS
    for (;;) {
      while (this.#read < this.messages.length) {
        const message = this.messages[this.#read++]
        if (type === undefined || message.type === type) return message
      }
      const left = deadline - Date.now()
      if (this.#isOver) throw new Error(`the connection ended before ${type ?? 'a message'} came`)
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

  /** All received messages of a type. */
  all(type: string): Message[] {
    return this.messages.filter((message) => message.type === type)
  }

  /** Resolves if no message arrives for `ms`, to prove absence. */
  async silence(ms: number): Promise<void> {
    const before = this.messages.length
    await sleep(ms)
    if (this.messages.length > before) throw new Error(`not silent: ${this.texts.slice(before).join(' ')}`)
  }

  protected came(text: string): void {
    this.texts.push(text)
    this.messages.push(JSON.parse(text))
    this.#wake()
  }

  protected over(): void {
    this.#isOver = true
    this.#wake()
  }
}
