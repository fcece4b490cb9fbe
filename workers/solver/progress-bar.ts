import type { RUN_PHASES } from '../../src/protocol/run-messages.js'
import type { Job } from '../../src/worker/processor.js'

/** A part of the work; `weight` is its share of the time, in any unit that all stages have in common. */
export interface Stage {
  readonly phase: (typeof RUN_PHASES)[number]
  readonly weight: number
}

/** Turns "how much of this stage" into the percentage of the whole job, which never falls and stays below 100. */
export class ProgressBar<Name extends string> {
  readonly #job: Pick<Job<'run'>, 'progress'>
  readonly #stages: Readonly<Record<Name, Stage>>
  #percent = 0

  /** Stages in the order in which they are worked. */
  constructor(job: Pick<Job<'run'>, 'progress'>, stages: Readonly<Record<Name, Stage>>) {
    this.#job = job
    this.#stages = stages
  }

  /** `fraction` of the stage is done, 0 to 1; more counts as 1, since some stages are as long as their convergence. */
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
