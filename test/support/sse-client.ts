import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { checkMessage } from './contract.js'
import { Inbox } from './inbox.js'

/** An event of a stream: its fields as received. */
export interface SseEvent {
  readonly event?: string
  readonly id?: string
  readonly data?: string
  readonly retry?: string
}

export interface SseOptions {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** The event `close` at the end of a stream. */
interface Closing {
  readonly code: number
  readonly name: string
  readonly reason: string
  readonly reconnect: boolean
}

/** A client of server-sent events, as simple as EventSource: messages are events without a name. */
export class SseClient extends Inbox {
  readonly events: SseEvent[] = []
  /** Resolves with status and headers. */
  readonly opened: Promise<IncomingMessage>
  /** Code 1006, as in a browser, if the stream ended without an event `close`. */
  readonly closed: Promise<{ code: number; reason: string }>
  /** The event `close`, if there was one. */
  closing: Closing | undefined
  /** The Last-Event-ID that an EventSource would send. */
  lastEventId = ''
  readonly #url: string
  readonly #request: ClientRequest
  #answer: IncomingMessage | undefined
  #rest = ''

  constructor(url: string, { method = 'GET', headers = {}, body }: SseOptions = {}) {
    super()
    this.#url = url
    this.#request = request(url, { method, agent: false, headers: { accept: 'text/event-stream', ...headers } })
    this.opened = new Promise((resolve, reject) => {
      this.#request.on('error', reject)
      this.#request.on('response', resolve)
    })
    this.closed = this.opened.then((answer) => this.#follow(answer)).catch(() => ({ code: 1006, reason: '' }))
    void this.closed.then(() => this.over())
    this.#request.end(body)
  }

  pause(): void {
    this.#answer?.pause()
  }

  resume(): void {
    this.#answer?.resume()
  }

  terminate(): void {
    this.#request.destroy()
  }

  #follow(answer: IncomingMessage): Promise<{ code: number; reason: string }> {
    this.#answer = answer
    answer.setEncoding('utf8')
    answer.on('data', (text: string) => this.#take(text))
    answer.on('error', () => {})
    return new Promise((resolve) => {
      answer.on('close', () => resolve(this.closing ?? { code: 1006, reason: '' }))
    })
  }

  #take(text: string): void {
    const blocks = (this.#rest + text).split('\n\n')
    this.#rest = blocks.pop() ?? ''
    for (const block of blocks) this.#event(block)
  }

  #event(block: string): void {
    const fields = block.split('\n').map((line): [string, string] => {
      const at = line.indexOf(': ')
      return [line.slice(0, at), line.slice(at + 2)]
    })
    const event: SseEvent = Object.fromEntries(fields)
    this.events.push(event)
    if (event.id !== undefined) this.lastEventId = event.id
    if (event.data === undefined) return
    checkMessage(this.#url, JSON.parse(event.data))
    if (event.event === undefined) this.came(event.data)
    else if (event.event === 'close') this.closing = JSON.parse(event.data)
  }
}
