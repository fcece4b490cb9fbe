export interface PendingLimits {
  /** Maximum sockets without a token, of a node and of one address. */
  readonly maxSockets: number
  readonly maxPerAddress: number
  /** Maximum bytes that all of them together may have sent; one address may have sent a quarter of them. */
  readonly maxBytes: number
  /** Maximum bytes that one of them may have sent, and maximum reads: each read costs memory, however short it is. */
  readonly maxBytesPerSocket: number
  readonly maxReadsPerSocket: number
  /** Maximum frames that one of them may have sent. */
  readonly maxFramesPerSocket: number
}

export const DEFAULT_PENDING_LIMITS: PendingLimits = {
  maxSockets: 2000,
  maxPerAddress: 500,
  maxBytes: 8_388_608,
  maxBytesPerSocket: 16_384,
  maxReadsPerSocket: 64,
  maxFramesPerSocket: 32,
}

/** Usage of sockets that are not authenticated. */
interface Share {
  sockets: number
  bytes: number
}

/** A socket whose client has not authenticated yet. */
export interface PendingSocket {
  readonly isPending: boolean
  /** Counts a read. False once the client has sent more than is allowed before authentication. */
  read(bytes: number): boolean
  /** Counts a frame. False once the client has sent more than is allowed before authentication. */
  frame(): boolean
  /** The client has authenticated, or is gone. Nothing is counted from now on. Safe to call twice. */
  leave(): void
}

/**
 * The sockets of a node whose clients have not authenticated. Their number and what they have sent are bounded, per
 * node and per address.
 */
export class PendingSockets {
  readonly #limits: PendingLimits
  readonly #all: Share = { sockets: 0, bytes: 0 }
  /** Only of addresses that have such sockets. */
  readonly #shares = new Map<string, Share>()

  constructor(limits: PendingLimits = DEFAULT_PENDING_LIMITS) {
    this.#limits = limits
  }

  get size(): number {
    return this.#all.sockets
  }

  /** Whether another socket of this address may be accepted. */
  hasRoom(address: string): boolean {
    const { maxSockets, maxPerAddress } = this.#limits
    const share = this.#shares.get(address)
    return this.#all.sockets < maxSockets && (share?.sockets ?? 0) < maxPerAddress && this.#mayHold(share?.bytes ?? 0)
  }

  /** Counts a socket that was accepted. */
  add(address: string): PendingSocket {
    const { maxBytesPerSocket, maxReadsPerSocket, maxFramesPerSocket } = this.#limits
    const share = this.#shares.get(address) ?? { sockets: 0, bytes: 0 }
    this.#shares.set(address, share)
    const own = { bytes: 0, reads: 0, frames: 0, isPending: true }
    this.#count(share, 1, 0)
    return {
      get isPending() {
        return own.isPending
      },
      read: (bytes) => {
        if (!own.isPending) return true
        own.bytes += bytes
        own.reads += 1
        this.#count(share, 0, bytes)
        return own.bytes <= maxBytesPerSocket && own.reads <= maxReadsPerSocket && this.#mayHold(share.bytes)
      },
      frame: () => {
        if (!own.isPending) return true
        own.frames += 1
        return own.frames <= maxFramesPerSocket
      },
      leave: () => {
        if (!own.isPending) return
        own.isPending = false
        this.#count(share, -1, -own.bytes)
        if (share.sockets === 0) this.#shares.delete(address)
      },
    }
  }

  #count(share: Share, sockets: number, bytes: number): void {
    for (const of of [share, this.#all]) {
      of.sockets += sockets
      of.bytes += bytes
    }
  }

  #mayHold(bytesOfAddress: number): boolean {
    const { maxBytes } = this.#limits
    return this.#all.bytes <= maxBytes && bytesOfAddress <= maxBytes / 4
  }
}
