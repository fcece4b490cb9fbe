import { WebSocket } from 'ws'
import { pauseFor } from './cuttable.js'
import { messagesOf, type Told } from './heard.js'
import { TelemetryFold } from './telemetry-fold.js'

// biome-ignore lint/suspicious/noExplicitAny: whatever a hub says
type Message = any

const FINALS = ['completed', 'error', 'cancelled']
const RECONNECT_MS = 50

export interface PlainOptions {
  /** Where to connect next, token and all, without a position. */
  readonly url: () => string
  readonly onFault: (fault: string) => void
}

/** A client of one run, written from docs/reference/protocol.md alone: it proves each message by itself, and resumes from what it has proved (rules POS-1 to POS-5). */
export class PlainClient {
  readonly told: Told[] = []
  readonly telemetry: TelemetryFold
  readonly #options: PlainOptions
  #socket: WebSocket | undefined
  #isOver = false
  #epoch = ''
  /** From where to resume: everything up to here has come. Null: only the whole state will do. */
  #proved: number | null = null
  /** Seq of the last snapshot: what is not above it is the replay that belongs to it. */
  #snapshot = 0
  #replayed = 0
  #last = 0
  #isRecovered = false

  constructor(options: PlainOptions) {
    this.#options = options
    const ask = (metric_name: string, from: number) => this.#socket?.send(JSON.stringify({ type: 'series', metric_name, from }))
    this.telemetry = new TelemetryFold({ ask, onFault: (fault) => options.onFault(`${this.#url}: ${fault}`) })
    this.#connect()
  }

  /** Reads nothing for a while. */
  pause(ms: number): void {
    pauseFor(this.#socket, ms)
  }

  cut(): void {
    this.#socket?.terminate()
  }

  close(): void {
    this.#isOver = true
    this.#socket?.terminate()
  }

  #connect(): void {
    if (this.#isOver) return
    const position = this.#proved === null ? '' : `&after=${this.#proved}&epoch=${encodeURIComponent(this.#epoch)}`
    const socket = new WebSocket(`${this.#options.url()}${position}&${this.telemetry.query}`)
    this.#socket = socket
    this.telemetry.connected()
    socket.on('error', () => {}) // a close follows
    socket.on('close', (code) => {
      if (code >= 4000 && !this.#isOver) this.#options.onFault(`a plain client was closed with ${code}`)
      setTimeout(() => this.#connect(), RECONNECT_MS)
    })
    socket.on('message', (data: Buffer) => socket === this.#socket && this.#receive(JSON.parse(data.toString())))
  }

  #receive(message: Message): void {
    if (this.telemetry.receive(message) || typeof message.seq !== 'number') return
    this.telemetry.entered(FINALS.includes(message.type) ? 'completed' : (message.status ?? ''), message.attempt)
    this.told.push(messagesOf(message))
    if ('recovered' in message) this.#open(message)
    else this.#follow(message)
  }

  #open({ seq, epoch, recovered, status }: Message): void {
    if (recovered && this.#proved === null) this.#options.onFault(`${this.#url}: recovered, where nothing was asked for`)
    this.#isRecovered = recovered
    this.#replayed = recovered ? (this.#proved ?? 0) : 0
    this.#epoch = epoch
    this.#snapshot = seq
    this.#last = seq
    // The final message belongs to the state of a job that has ended: without it the state is not whole.
    if (!recovered) this.#proved = ['completed', 'failed', 'cancelled'].includes(status) ? null : seq
  }

  #follow({ type, seq, prev = seq - 1, ...rest }: Message): void {
    const isReplay = seq <= this.#snapshot && this.#last === this.#snapshot
    const isRight = isReplay ? seq > this.#replayed : prev <= this.#last && this.#last < seq
    if (!isRight) {
      const place = { snapshot: this.#snapshot, replayed: this.#replayed, last: this.#last }
      this.#options.onFault(`${this.#url}: after ${JSON.stringify(place)} cannot come ${JSON.stringify({ type, seq, prev, ...rest })}`)
    }
    if (isReplay) this.#replayed = seq
    else this.#last = seq
    if (!isReplay || this.#isRecovered) this.#proved = seq
    else if (FINALS.includes(type)) this.#proved = this.#snapshot
  }

  get #url(): string {
    return (this.#socket?.url ?? '').replace(/token=[^&]*/, '')
  }
}
