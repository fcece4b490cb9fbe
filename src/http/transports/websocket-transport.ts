import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import type { Frame } from '../../hub/frame.js'
import type { Transport } from '../../hub/transport.js'
import { type CloseName, CODES } from '../../protocol/codes.js'

const OPEN = 1
const MAX_REASON_BYTES = 123

/**
 * hop 9: from the outbox to the browser. The only lines that write to a WebSocket's TCP socket. Frames are encoded once
 * and shared. Those of one turn of the event loop are joined once and sent in one write, since writes are the main cost
 * of a delivery. Writing besides `ws` is safe because `ws` writes each of its own frames (ping, pong, close) in one
 * turn: compression, fragments and Blobs are never used here.
 */
export class WebSocketTransport implements Transport {
  readonly #webSocket: WebSocket
  readonly #socket: Socket
  onDrain: () => void = () => {}

  constructor(webSocket: WebSocket, socket: Socket) {
    this.#webSocket = webSocket
    this.#socket = socket
    socket.on('drain', () => this.onDrain())
  }

  get congested(): boolean {
    return this.#socket.writableNeedDrain
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength
  }

  send(frames: readonly Frame[]): void {
    if (this.#webSocket.readyState === OPEN && this.#socket.writable) this.#socket.write(joined(frames))
  }

  close(code: CloseName, detail?: string): void {
    this.#webSocket.close(CODES[code].close, fitReason(detail ?? CODES[code].text))
  }

  ping(): void {
    if (this.#webSocket.readyState === OPEN) this.#webSocket.ping()
  }

  terminate(): void {
    this.#webSocket.terminate()
  }
}

const wires = new WeakMap<Frame, Buffer>()
const joins = new WeakMap<Frame, { frames: readonly Frame[]; wire: Buffer }>()

/**
 * The bytes of these frames, in order. The last join per first frame is cached, since clients in step send the same
 * frames.
 */
function joined(frames: readonly Frame[]): Buffer {
  const [first] = frames
  if (!first) return Buffer.alloc(0)
  if (frames.length === 1) return wireOf(first)
  const known = joins.get(first)
  if (known?.frames.length === frames.length && known.frames.every((frame, i) => frame === frames[i])) return known.wire
  const wire = Buffer.concat(frames.map(wireOf))
  joins.set(first, { frames, wire })
  return wire
}

/** A text frame, unmasked and final (RFC 6455, section 5.2). */
function wireOf(frame: Frame): Buffer {
  let wire = wires.get(frame)
  if (!wire) {
    wire = Buffer.concat([header(frame.payload.length), frame.payload])
    wires.set(frame, wire)
  }
  return wire
}

function header(length: number): Buffer {
  if (length < 126) return Buffer.from([0x81, length])
  const head = Buffer.alloc(length < 65_536 ? 4 : 10, 0x81)
  if (length < 65_536) {
    head[1] = 126
    head.writeUInt16BE(length, 2)
  } else {
    head[1] = 127
    head.writeBigUInt64BE(BigInt(length), 2)
  }
  return head
}

/** Truncates a close reason to 123 bytes (RFC 6455, section 5.5), between characters. */
function fitReason(text: string): string {
  let fitting = text
  while (Buffer.byteLength(fitting) > MAX_REASON_BYTES) fitting = [...fitting].slice(0, -1).join('')
  return fitting
}
