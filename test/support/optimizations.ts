import type { InputOf } from '../../src/kinds/index.js'
import { eventually } from './eventually.js'
import type { Harness } from './harness.js'
import { HORN } from './harness.js'
import type { RunProcessor } from './kinds.js'
import type { Message } from './test-client.js'

/** Two conflicting objectives and a constraint, over two lengths of the horn: quick to compute, with a known front. */
export const TWO_OBJECTIVES = {
  base: HORN,
  variables: [
    { name: 'width_mm', min: 10, max: 50 },
    { name: 'height_mm', min: 100, max: 150 },
  ],
  objectives: [
    { metric: 'cost', direction: 'minimize' },
    { metric: 'gain', direction: 'maximize' },
  ],
  constraints: [{ metric: 'strain', operator: '<=', value: 1 }],
  population: 8,
  generations: 5,
  seed: 7,
} as const

/** Metrics of a run. */
export function measure({ width_mm: w, height_mm: h }: InputOf<'run'>): Record<string, number> {
  return { cost: w * w, gain: w + h / 100, strain: h / 140, extra: 1 }
}

/** Runs that continue until a test ends them. `running`: the current ones. */
export function endless(): { readonly running: ReadonlySet<string>; readonly processor: RunProcessor } {
  const running = new Set<string>()
  const processor: RunProcessor = async (_input, job) => {
    running.add(job.id)
    await eventually(() => job.signal.aborted, { timeoutMs: 60_000 }).finally(() => running.delete(job.id))
    throw job.signal.reason
  }
  return { running, processor }
}

/** Submits an optimization and returns its id. */
export async function optimize(h: Harness, id: string, input: object = TWO_OBJECTIVES, sub?: string): Promise<string> {
  const answer = await h.call('POST', '/api/v2/optimizations', { body: { optimization_id: id, ...input }, ...(sub && { sub }) })
  if (answer.status !== 202) throw new Error(`submit: ${answer.status} ${JSON.stringify(answer.body)}`)
  return answer.body.optimization_id
}

/** Costs and gains of the front, recomputed from the iterations alone, in order of cost. */
export function frontFrom(iterations: readonly Message[]): [cost: number, gain: number][] {
  const points = iterations.filter(({ feasible }) => feasible).map(({ metrics }) => [metrics.cost, metrics.gain] as [number, number])
  const isBeaten = ([cost, gain]: [number, number]) => points.some(([c, g]) => c <= cost && g >= gain && (c < cost || g > gain))
  const front = new Map(points.filter((point) => !isBeaten(point)).map((point) => [String(point), point]))
  return [...front.values()].toSorted(([a], [b]) => a - b)
}
