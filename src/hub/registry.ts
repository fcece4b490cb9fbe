import type { Clock } from '../core/clock.js'

/** An object that a registry keeps. */
export interface Kept {
  /** Whether it has no users left. */
  readonly isIdle: boolean
  close(): void
}

export interface RegistryOptions<T extends Kept> {
  readonly clock: Clock
  /** How long an idle object is kept, so that a page reload costs nothing. */
  readonly lingerMs: number
  readonly create: (key: string) => T
  /** Called after the object was closed and removed. */
  readonly dropped: (key: string) => void
}

/** One object per key, created at its first use and dropped some time after its last user has left. */
export class Registry<T extends Kept> {
  readonly #options: RegistryOptions<T>
  readonly #kept = new Map<string, T>()
  readonly #lingering = new Map<string, () => void>()

  constructor(options: RegistryOptions<T>) {
    this.#options = options
  }

  get all(): readonly T[] {
    return [...this.#kept.values()]
  }

  find(key: string): T | undefined {
    return this.#kept.get(key)
  }

  get(key: string): T {
    this.#lingering.get(key)?.()
    this.#lingering.delete(key)
    let kept = this.#kept.get(key)
    if (!kept) {
      kept = this.#options.create(key)
      this.#kept.set(key, kept)
    }
    return kept
  }

  /** Call this when a user has left. */
  left(key: string): void {
    const kept = this.#kept.get(key)
    if (!kept?.isIdle || this.#lingering.has(key)) return
    const cancel = this.#options.clock.after(this.#options.lingerMs, () => {
      this.#lingering.delete(key)
      if (!kept.isIdle) return
      kept.close()
      this.#kept.delete(key)
      this.#options.dropped(key)
    })
    this.#lingering.set(key, cancel)
  }

  close(): void {
    for (const cancel of this.#lingering.values()) cancel()
    for (const kept of this.#kept.values()) kept.close()
    this.#lingering.clear()
    this.#kept.clear()
  }
}
