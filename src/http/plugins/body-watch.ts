export interface BodyLimits {
  /** How long a body may take whose sender has not proved who it is. */
  readonly strangerMs: number
  /** How long nothing may come of a body. */
  readonly stallMs: number
  /** How fast a body has to come, on average, once it takes longer than `graceMs`. */
  readonly graceMs: number
  readonly leastBytesPerSecond: number
}

/** A body of some hundred bytes arrives in one packet: what takes seconds is held back, or large and well under way. */
export const DEFAULT_BODY_LIMITS: BodyLimits = { strangerMs: 5000, stallMs: 10_000, graceMs: 10_000, leastBytesPerSecond: 1024 }

/** A request body that is coming. */
export interface Body {
  /** All of it has come, or its connection is gone. */
  isOver(): boolean
  /** Its sender has proved who it is. */
  isKnown(): boolean
  /** Bytes that its connection has brought so far. */
  bytesRead(): number
  /** Ends the request. */
  end(): void
}

interface Watched {
  readonly body: Body
  readonly from: { readonly at: number; readonly bytes: number }
  last: { readonly at: number; readonly bytes: number }
}

/** Ends the requests whose bodies come too slowly. `check` is called now and then. */
export class BodyWatch {
  readonly #limits: BodyLimits
  /** Monotonic, in ms. */
  readonly #now: () => number
  readonly #watched = new Set<Watched>()

  constructor(limits: BodyLimits = DEFAULT_BODY_LIMITS, now: () => number = () => performance.now()) {
    this.#limits = limits
    this.#now = now
  }

  get size(): number {
    return this.#watched.size
  }

  add(body: Body): void {
    const from = { at: this.#now(), bytes: body.bytesRead() }
    this.#watched.add({ body, from, last: from })
  }

  /** Forgets the bodies that are over and ends those that are too slow. */
  check(): void {
    for (const watched of this.#watched) {
      const { body } = watched
      const isTooSlow = !body.isOver() && this.#isTooSlow(watched)
      if (isTooSlow) body.end()
      if (isTooSlow || body.isOver()) this.#watched.delete(watched)
    }
  }

  #isTooSlow(watched: Watched): boolean {
    const { strangerMs, stallMs, graceMs, leastBytesPerSecond } = this.#limits
    const { body, from } = watched
    const now = { at: this.#now(), bytes: body.bytesRead() }
    if (now.bytes > watched.last.bytes) watched.last = now
    const tookMs = now.at - from.at
    if (now.at - watched.last.at >= stallMs || (tookMs >= strangerMs && !body.isKnown())) return true
    return tookMs > graceMs && now.bytes - from.bytes < (tookMs / 1000) * leastBytesPerSecond
  }
}
