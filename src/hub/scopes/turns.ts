import { Refusal } from '../../protocol/codes.js'

/** Acts that are done one after the other, in the order of asking; none before `begin`. */
export class Turns {
  readonly #max: number
  #waiting = 0
  #begin: () => void = () => {}
  #last: Promise<unknown> = new Promise<void>((resolve) => {
    this.#begin = resolve
  })

  constructor(max: number) {
    this.#max = max
  }

  begin(): void {
    this.#begin()
  }

  /** Rejects as the act does, or with `rate_limited` where too many wait. */
  async take(act: () => Promise<void>): Promise<void> {
    if (this.#waiting >= this.#max) throw new Refusal('rate_limited', 'Too many requests wait for an answer.')
    this.#waiting += 1
    const turn = this.#last.then(act)
    this.#last = turn.catch(() => {})
    try {
      await turn
    } finally {
      this.#waiting -= 1
    }
  }
}
