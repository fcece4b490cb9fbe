import { setTimeout as sleep } from 'node:timers/promises'

// biome-ignore lint/suspicious/noExplicitAny: the tests look at whatever came
export type Message = any

const TIMEOUT_MS = 60_000

/** Whatever watches a job: keeps everything it got, as text and parsed, and lets a test wait for facts instead of time. */
export abstract class Inbox {
  readonly texts: string[] = []
  readonly messages: Message[] = []
  #read = 0
  #isOver = false
  #wake: () => void = () => {}

  /** Resolves when the connection is gone: with its reason, as far as it was told. */
  abstract readonly closed: Promise<{ code: number; reason: string }>
  /** Stops reading from the TCP socket, as a suspended tab does. */
  abstract pause(): void
  abstract resume(): void
  abstract terminate(): void

  /** The next message not yet read, or the next of a type, passing over others. Rejects after 60 s or when the connection ends before. */
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

  /** All messages of a type that have come. */
  all(type: string): Message[] {
    return this.messages.filter((message) => message.type === type)
  }

  /** Resolves when nothing came for `ms`: for claims of absence. */
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
