import type { JobEvent } from '../../src/core/entry.js'
import { optimizationEvents } from '../../src/kinds/optimization/events.js'
import type { OptimizationInput } from '../../src/kinds/optimization/input.js'
import type { FrontPoint } from '../../src/kinds/optimization/messages.js'
import { compromise } from './compromise.js'
import type { Ledger } from './ledger.js'
import { parametersOf } from './optimizer.js'
import type { Member } from './problem.js'

/**
 * The front as it is published: ordered by its first objective, the best first, and as many points as fit into
 * `maxBytes`.
 */
export function frontEvent(id: string, input: OptimizationInput, ledger: Ledger, maxBytes: number): JobEvent {
  const members = ledger.search.archive.toSorted((a, b) => (a.objectives[0] ?? 0) - (b.objectives[0] ?? 0))
  const points = members.map((member) => pointOf(input, ledger, member))
  const best = bestOf(input, ledger)
  return optimizationEvents.front(id, {
    iteration: Math.max(1, ledger.evaluated),
    size: points.length,
    points: thinned(points, maxBytes),
    best,
  })
}

export function bestOf(input: OptimizationInput, ledger: Ledger): FrontPoint | null {
  const member = compromise(ledger.search.archive)
  return member ? pointOf(input, ledger, member) : null
}

function pointOf(input: OptimizationInput, { found }: Ledger, { index, point, metrics }: Member): FrontPoint {
  const place = found[index]
  if (!place) throw new TypeError(`no iteration is known for point ${index} of the front`)
  const { iteration, run_id } = place
  return { iteration, run_id, parameters: parametersOf(input, point), metrics: { ...metrics } }
}

/** As many points as fit, evenly spread over the front. */
function thinned(points: readonly FrontPoint[], maxBytes: number): FrontPoint[] {
  const bytes = Buffer.byteLength(JSON.stringify(points))
  if (bytes <= maxBytes) return [...points]
  const count = Math.max(1, Math.floor((points.length * maxBytes) / bytes))
  return Array.from({ length: count }, (_, i) => points[Math.floor((i * points.length) / count)]).filter((point) => point !== undefined)
}
