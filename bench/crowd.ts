import { randomBytes } from 'node:crypto'
import { request } from 'node:http'
import type { Socket } from 'node:net'

const TIMEOUT_MS = 5000
const NOTHING: Buffer = Buffer.alloc(0)

/**
 * The WebSocket clients of one node. They count data frames without parsing, so that they use less CPU than any node.
 */
export class Crowd {
  readonly #subscribers: readonly Subscriber[]
  #expectedEach = 0
  #received = 0

  private constructor(sockets: readonly [Socket, Buffer][]) {
    const received = (frames: number) => {
      this.#received += frames
    }
    this.#subscribers = sockets.map(([socket, head]) => new Subscriber(socket, head, received))
  }

  /** Resolves once all handshakes are complete. */
  static async connect(url: string, size: number): Promise<Crowd> {
    return new Crowd(await Promise.all(Array.from({ length: size }, () => upgrade(url))))
  }

  get size(): number {
    return this.#subscribers.length
  }

  /**
   * Resolves once every client has received `frames` further frames. Rejects if one has received more, or fewer within
   * 5 s: a delivery was duplicated or lost.
   */
  async receive(frames: number): Promise<void> {
    this.#expectedEach += frames
    const expected = this.#expectedEach * this.size
    const deadline = performance.now() + TIMEOUT_MS
    // Polls instead of sleeping: otherwise each write of the node would also pay for waking this process.
    while (this.#received < expected && performance.now() < deadline) await new Promise(setImmediate)
    const wrong = this.#subscribers.find((subscriber) => subscriber.frames !== this.#expectedEach)
    if (wrong) throw new Error(`a client received ${wrong.frames} frames, expected ${this.#expectedEach}`)
  }

  /** Sends a text of at most 125 bytes from each client. */
  sendText(text: string): void {
    for (const subscriber of this.#subscribers) subscriber.sendText(text)
  }

  close(): void {
    for (const subscriber of this.#subscribers) subscriber.close()
  }
}

class Subscriber {
  frames = 0
  readonly #socket: Socket
  /** The start of an incomplete frame. */
  #cut = NOTHING

  constructor(socket: Socket, head: Buffer, received: (frames: number) => void) {
    this.#socket = socket
    socket.on('error', () => {}) // missing frames are counted
    socket.on('data', (chunk: Buffer) => received(this.#take(chunk)))
    received(this.#take(head))
  }

  sendText(text: string): void {
    // Text, final, masked with zeros, which leaves the payload unchanged.
    this.#socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]))
  }

  close(): void {
    this.#socket.destroy()
  }

  #take(chunk: Buffer): number {
    const before = this.frames
    const bytes = this.#cut.length === 0 ? chunk : Buffer.concat([this.#cut, chunk])
    let at = 0
    for (let end = endOfFrame(bytes, at); end <= bytes.length; end = endOfFrame(bytes, at)) {
      if (!isControl(bytes[at])) this.frames += 1
      at = end
    }
    this.#cut = at === bytes.length ? NOTHING : bytes.subarray(at)
    return this.frames - before
  }
}

/** End of the unmasked frame that starts at `at`; infinity without a complete header (RFC 6455, section 5.2). */
function endOfFrame(bytes: Buffer, at: number): number {
  const length = bytes[at + 1]
  if (length === undefined) return Number.POSITIVE_INFINITY
  if (length < 126) return at + 2 + length
  if (length > 126) throw new RangeError('a frame of 64 KB or more')
  return bytes.length < at + 4 ? Number.POSITIVE_INFINITY : at + 4 + bytes.readUInt16BE(at + 2)
}

/** Whether the frame is a ping, pong or close. */
function isControl(firstByte = 0): boolean {
  return (firstByte & 0x08) !== 0
}

function upgrade(url: string): Promise<[Socket, Buffer]> {
  const headers = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': randomBytes(16).toString('base64'),
  }
  return new Promise((resolve, reject) => {
    const handshake = request(url, { agent: false, headers })
    handshake.on('upgrade', (_response, socket, head) => resolve([socket, head]))
    handshake.on('response', ({ statusCode }) => reject(new Error(`${url} answered ${statusCode}`)))
    handshake.on('error', reject)
    handshake.end()
  })
}
