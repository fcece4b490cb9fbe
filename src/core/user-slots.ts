/** What users do at a time in this process: each has at most `max` slots. */
export class UserSlots {
  readonly max: number
  /** Only of users who have a slot. */
  readonly #used = new Map<string, number>()

  constructor(max: number) {
    this.max = max
  }

  /** Returns the function that frees the slot, which is called once; null if the user has none left. */
  enter(sub: string): (() => void) | null {
    const used = this.#used.get(sub) ?? 0
    if (used >= this.max) return null
    this.#used.set(sub, used + 1)
    return () => {
      const left = (this.#used.get(sub) ?? 0) - 1
      if (left > 0) this.#used.set(sub, left)
      else this.#used.delete(sub)
    }
  }
}
