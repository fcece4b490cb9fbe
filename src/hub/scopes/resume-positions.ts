import type { Position } from '../../core/entry.js'
import { type RecentMap, recentMap } from '../recent-map.js'

/** The client's positions in jobs that it no longer follows, so that a later execution resumes from there. */
export class ResumePositions {
  readonly #max: number
  /** Created on first use: many clients never need it. */
  #positions: RecentMap<Position> | undefined
  /** Positions that a list has replaced which has not left yet. */
  #replaced = new Map<string, Position | undefined>()

  /** Of more than `max` jobs the oldest are evicted. */
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

  /** Sets the client's position in these jobs, for a list that is about to be sent. */
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

  /** The list was dropped before it left: restores the earlier positions. */
  revert(): void {
    for (const [id, position] of this.#replaced) {
      if (position) this.set(id, position)
      else this.delete(id)
    }
    this.#replaced.clear()
  }
}
