import type { Message } from '../../support/inbox.js'
import { SseClient } from '../../support/sse-client.js'
import { pauseFor } from './cuttable.js'
import { messagesOf, type Told } from './heard.js'
import { TelemetryFold } from './telemetry-fold.js'

export interface StreamOptions {
  /** Where to connect next, token and all, without a position. */
  readonly url: () => string
  readonly onFault: (fault: string) => void
}

/** Messages about a status. */
const STATUSES: Readonly<Record<string, string>> = Object.fromEntries(
  ['queued', 'started', 'retrying', 'cancelling', 'completed', 'failed', 'cancelled'].map((status) => [`process_${status}`, status]),
)
const RECONNECT_MS = 50

/** Hands each message on, and keeps none. */
class Stream extends SseClient {
  onMessage: (message: Message) => void = () => {}

  protected override came(text: string): void {
    this.onMessage(JSON.parse(text))
  }
}

/** A client of a stream of one job in the process dialect, as simple as EventSource: it resumes from the last id. */
export class StreamClient {
  readonly told: Told[] = []
  readonly telemetry: TelemetryFold
  readonly #options: StreamOptions
  #stream: Stream | undefined
  #lastEventId = ''
  #isOver = false

  constructor(options: StreamOptions) {
    this.#options = options
    this.telemetry = new TelemetryFold({ ask: null, onFault: (fault) => options.onFault(`a stream: ${fault}`) })
    this.#connect()
  }

  /** Reads nothing for a while. */
  pause(ms: number): void {
    pauseFor(this.#stream, ms)
  }

  cut(): void {
    this.#stream?.terminate()
  }

  close(): void {
    this.#isOver = true
    this.cut()
  }

  #connect(): void {
    if (this.#isOver) return
    const headers = this.#lastEventId === '' ? {} : { 'last-event-id': this.#lastEventId }
    const stream = new Stream(`${this.#options.url()}&${this.telemetry.query}`, { headers })
    this.#stream = stream
    this.telemetry.connected()
    stream.onMessage = (message) => this.#receive(message)
    void stream.closed.then(() => {
      this.#lastEventId = stream.lastEventId || this.#lastEventId
      if (stream.closing?.reconnect === false && !this.#isOver) this.#options.onFault(`a stream was closed: ${stream.closing.reason}`)
      setTimeout(() => this.#connect(), RECONNECT_MS).unref()
    })
  }

  #receive(message: Message): void {
    if (this.telemetry.receive(message) || typeof message.seq !== 'number') return
    this.told.push(messagesOf(message))
    const { status, attempt } = message.process ?? { status: STATUSES[message.type], attempt: message.attempt }
    if (status !== undefined) this.telemetry.entered(status, attempt)
  }
}
