import type { ServerResponse } from 'node:http'
import type { FastifyReply } from 'fastify'
import type { Frame } from '../../hub/frame.js'
import type { Transport } from '../../hub/transport.js'
import { type CloseName, CODES } from '../../protocol/codes.js'
import { endSpan } from '../plugins/tracing.js'

/** A closing stream is destroyed if its peer reads nothing for this time. */
const CLOSE_TIMEOUT_MS = 5000
/**
 * Reconnect delay of an EventSource, randomized so that the clients of a stopping node do not reconnect all at once.
 */
const RETRY_MS = { min: 500, spread: 1500 }

/** Tells proxies not to cache, transform or buffer. */
const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
}

/** Takes over the response from Fastify and starts an event stream, with the headers that the hooks have set. */
export function openEventStream(reply: FastifyReply, hasIds = true): SseTransport {
  const headers = { ...reply.getHeaders(), ...HEADERS }
  reply.hijack()
  for (const [name, value] of Object.entries(headers)) if (value !== undefined) reply.raw.setHeader(name, value)
  reply.raw.writeHead(200)
  endSpan(reply.request, reply)
  return new SseTransport(reply.raw, hasIds)
}

/**
 * The SSE transport: a stream of server-sent events (HTML standard, section 9.2) on a response that is already open.
 * Each message is one event without a name. `heartbeat` and `close` have names, since pages see neither comments nor
 * reasons. The data of each event has a `type`, for readers that ignore names.
 */
export class SseTransport implements Transport {
  readonly #response: ServerResponse
  readonly #hasIds: boolean
  /** Epoch of the last snapshot, and so of the entries after it. */
  #epoch: string | undefined
  onDrain: () => void = () => {}
  /** The peer has read something: its only sign of life, since SSE has no replies. */
  onAlive: () => void = () => {}

  /** `hasIds`: the ids of events are positions, to resume from. A stream of several jobs has none. */
  constructor(response: ServerResponse, hasIds = true) {
    this.#response = response
    this.#hasIds = hasIds
    // A failed write leads to `close`, which the session receives.
    response.on('error', () => {})
    response.on('drain', () => {
      this.onAlive()
      this.onDrain()
    })
    response.write(`retry: ${Math.round(RETRY_MS.min + Math.random() * RETRY_MS.spread)}\n\n`)
  }

  get congested(): boolean {
    return this.#response.writableNeedDrain
  }

  get bufferedBytes(): number {
    return this.#response.writableLength
  }

  send(frames: readonly Frame[]): void {
    const events = frames.map((frame) => this.#eventOf(frame))
    const [first = Buffer.alloc(0)] = events
    this.#write(events.length === 1 ? first : Buffer.concat(events))
  }

  ping(): void {
    this.#write(HEARTBEAT, (error) => !error && this.onAlive())
  }

  close(code: CloseName, detail?: string): void {
    const { close, reconnect, text } = CODES[code]
    const reason = { type: 'close', code: close, name: code, reason: detail ?? text, reconnect }
    this.#write(`event: close\ndata: ${JSON.stringify(reason)}\n\n`)
    if (this.#response.writableEnded) return
    this.#response.end()
    // A peer that stops reading would keep the socket open forever. A slow peer still gets what was sent.
    let before = this.bufferedBytes
    const timer = setInterval(() => {
      if (this.bufferedBytes >= before) this.terminate()
      before = this.bufferedBytes
    }, CLOSE_TIMEOUT_MS).unref()
    this.#response.once('close', () => clearInterval(timer))
  }

  terminate(): void {
    this.#response.destroy()
  }

  #write(bytes: Buffer | string, written?: (error: Error | null | undefined) => void): void {
    if (this.#response.writableEnded || this.#response.destroyed) return
    this.#response.write(bytes, written)
  }

  /**
   * A snapshot has no id: a client that is cut off in the middle of it resumes from its previous position, or from the
   * last entry. The event of a frame is the same for all clients and is built once.
   */
  #eventOf(frame: Frame): Buffer {
    const { position } = frame
    if (position?.epoch !== undefined) this.#epoch = position.epoch
    const epoch = this.#hasIds && position && position.epoch === undefined ? this.#epoch : undefined
    let event = events.get(frame)
    if (event?.epoch !== epoch || !event) {
      const id = epoch !== undefined && position ? `id: ${epoch}:${position.seq}\n` : ''
      event = { epoch, bytes: Buffer.concat([Buffer.from(`${id}data: `), frame.payload, END]) }
      events.set(frame, event)
    }
    return event.bytes
  }
}

const HEARTBEAT = `event: heartbeat\ndata: ${JSON.stringify({ type: 'heartbeat' })}\n\n`
const END = Buffer.from('\n\n')
const events = new WeakMap<Frame, { epoch: string | undefined; bytes: Buffer }>()
