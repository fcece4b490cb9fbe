import type { RUN_PHASES } from '../../src/protocol/run-messages.js'
import type { Job } from '../../src/worker/processor.js'

/** A stage of the work. `weight` is its share of the time, in any unit that all stages share. */
export interface Stage {
  readonly phase: (typeof RUN_PHASES)[number]
  readonly weight: number
}

/** Converts the progress of a stage into the percentage of the whole job, which never falls and stays below 100. */
export class ProgressBar<Name extends string> {
  readonly #job: Pick<Job<'run'>, 'progress'>
  readonly #stages: Readonly<Record<Name, Stage>>
  #percent = 0

  /** Stages in the order of their execution. */
  constructor(job: Pick<Job<'run'>, 'progress'>, stages: Readonly<Record<Name, Stage>>) {
    this.#job = job
    this.#stages = stages
  }

  /**
   * `fraction` of the stage is done, 0 to 1. A larger value counts as 1, since the length of some stages depends on
   * their convergence.
   */
  report(name: Name, fraction: number, message: string): void {
    let before = 0
    let total = 0
    for (const [key, { weight }] of Object.entries<Stage>(this.#stages)) {
      if (key === name) before = total + weight * Math.min(1, fraction)
      total += weight
    }
    const percent = Math.floor((999 * before) / total) / 10
    this.#percent = Math.max(this.#percent, percent)
    this.#job.progress({ percent: this.#percent, phase: this.#stages[name].phase, message })
  }
}
