import type { InputOf } from '../../src/kinds/index.js'
import type { Job } from '../../src/worker/processor.js'
import { eventually } from './eventually.js'
import type { RunProcessor } from './kinds.js'

/** One execution of a run, driven by a test. */
export interface Play {
  readonly job: Job<'run'>
  readonly input: InputOf<'run'>
  complete(summary?: Record<string, number>): void
  fail(error: Error): void
}

/** A processor that a test drives. It obeys its abort signal at once. */
export class Stage {
  /** All executions, in order of their starts. */
  readonly plays: Play[] = []

  readonly processor: RunProcessor = (input, job) =>
    new Promise((resolve, reject) => {
      job.signal.addEventListener('abort', () => reject(job.signal.reason), { once: true })
      this.plays.push({ job, input, complete: (summary = {}) => resolve({ metrics_summary: summary }), fail: reject })
    })

  /** Runs a job to its end, with this many reports of each type, as fast as possible. */
  async perform(id: string, reports: number): Promise<void> {
    const { job, complete } = await this.play(id)
    for (let i = 1; i <= reports; i += 1) {
      job.progress({ percent: i, phase: 'solving', message: `${i}` })
      job.metric('f', i, 'Hz')
      await job.flush()
    }
    complete({ reports })
  }

  playsOf(id: string): Play[] {
    return this.plays.filter(({ job }) => job.id === id)
  }

  /** Resolves with the latest execution of a job. */
  play(id: string): Promise<Play> {
    return eventually(() => this.playsOf(id).at(-1))
  }
}
