export interface BodyLimits {
  /** Maximum time for a body whose sender is not authenticated. */
  readonly unauthenticatedMs: number
  /** Maximum time without any bytes. */
  readonly stallMs: number
  /** Minimum average rate once a body takes longer than `graceMs`. */
  readonly graceMs: number
  readonly minBytesPerSecond: number
}

/**
 * A typical body of some hundred bytes arrives in one packet. A body that takes seconds is either large or held back.
 */
export const DEFAULT_BODY_LIMITS: BodyLimits = { unauthenticatedMs: 5000, stallMs: 10_000, graceMs: 10_000, minBytesPerSecond: 1024 }

/** A request body that is being received. */
export interface Body {
  /** Whether all of it has arrived, or its connection is gone. */
  isOver(): boolean
  /** Whether its sender is authenticated. */
  isAuthenticated(): boolean
  /** Bytes received on its connection so far. */
  bytesRead(): number
  /** Ends the request. */
  end(): void
}

interface Watched {
  readonly body: Body
  readonly from: { readonly at: number; readonly bytes: number }
  last: { readonly at: number; readonly bytes: number }
}

/** Ends requests whose bodies arrive too slowly. Call `check` periodically. */
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

  /** Removes bodies that are complete and ends those that are too slow. */
  check(): void {
    for (const watched of this.#watched) {
      const { body } = watched
      const isTooSlow = !body.isOver() && this.#isTooSlow(watched)
      if (isTooSlow) body.end()
      if (isTooSlow || body.isOver()) this.#watched.delete(watched)
    }
  }

  #isTooSlow(watched: Watched): boolean {
    const { unauthenticatedMs, stallMs, graceMs, minBytesPerSecond } = this.#limits
    const { body, from } = watched
    const now = { at: this.#now(), bytes: body.bytesRead() }
    if (now.bytes > watched.last.bytes) watched.last = now
    const tookMs = now.at - from.at
    if (now.at - watched.last.at >= stallMs || (tookMs >= unauthenticatedMs && !body.isAuthenticated())) return true
    return tookMs > graceMs && now.bytes - from.bytes < (tookMs / 1000) * minBytesPerSecond
  }
}
