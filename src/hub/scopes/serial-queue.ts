import { RuncastError } from '../../protocol/codes.js'

/** Acts that are done one after the other, in the order of asking; none before `begin`. */
export class SerialQueue {
  readonly #max: number
  #waiting = 0
  #begin: () => void = () => {}
  #last: Promise<unknown> = new Promise<void>((resolve) => {
    this.#begin = resolve
  })

  constructor(max: number) {
    this.#max = max
  }

  start(): void {
    this.#begin()
  }

  /** Rejects as the act does, or with `rate_limited` where too many wait. */
  async run(act: () => Promise<void>): Promise<void> {
    if (this.#waiting >= this.#max) throw new RuncastError('rate_limited', 'Too many requests wait for an answer.')
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
