import type { Position } from '../../core/entry.js'
import { type RecentMap, recentMap } from '../recent-map.js'

/** Where a client is in jobs that it does not follow any more, so that a later round goes on from there. */
export class ResumePositions {
  readonly #max: number
  /** Made when it is first needed: many clients never do. */
  #positions: RecentMap<Position> | undefined
  /** What a list that has not left yet has replaced. */
  #replaced = new Map<string, Position | undefined>()

  /** Of more than `max` jobs the oldest are forgotten. */
  constructor(max: number) {
    this.#max = max
  }

  get(id: string): Position | undefined {
    return this.#positions?.get(id)
  }

  set(id: string, { epoch, seq }: Position): void {
    this.#positions ??= recentMap(this.#max)
    this.#positions.set(id, { epoch, seq })
  }

  delete(id: string): void {
    this.#positions?.delete(id)
  }

  /** A list that is on its way sets the client's position in these jobs. */
  list(states: readonly ({ readonly id: string } & Position)[]): void {
    for (const state of states) {
      this.#replaced.set(state.id, this.get(state.id))
      this.set(state.id, state)
    }
  }

  /** The list has left. */
  confirm(): void {
    this.#replaced.clear()
  }

  /** The list was dropped before it left: the client is where it was. */
  revert(): void {
    for (const [id, position] of this.#replaced) {
      if (position) this.set(id, position)
      else this.delete(id)
    }
    this.#replaced.clear()
  }
}
