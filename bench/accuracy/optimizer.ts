import { hypervolume } from '../../workers/optimization/hypervolume.js'
import { begin, candidates, type Fold, fold } from '../../workers/optimization/optimizer.js'
import type { Member, Search } from '../../workers/optimization/problem.js'
import type { Figure } from './figure.js'
import { KNOWN_PROBLEMS, type KnownProblem } from './known-fronts.js'

const SEEDS = 10
const SAMPLES = 100_000
const BOUND = 0.01

/**
 * Compares fronts of NSGA-II with the true ones by hypervolume, from the same reference point, for the worst of several
 * seeds. Bound: 1 % of the hypervolume of a dense sample of the true front.
 */
export async function checkOptimizer(seeds = SEEDS): Promise<Figure[]> {
  return KNOWN_PROBLEMS.map((known) => {
    const ratios = Array.from({ length: seeds }, (_, seed) => volumeOf(known, findFront(known, seed + 1)) / trueVolume(known))
    const worst = ratios.reduce((worst, ratio) => (Math.abs(ratio - 1) > Math.abs(worst - 1) ? ratio : worst))
    const mean = ratios.reduce((sum, ratio) => sum + ratio, 0) / seeds
    const { name, population, generations, reference } = known
    return {
      what: `${name}, ${population} × ${generations}: hypervolume from (${reference.join(', ')}) beside the true front's, ${seeds} seeds`,
      figure: `worst ${percent(worst)}, mean ${percent(mean)}`,
      bound: `${percent(1)} ± ${percent(BOUND)}`,
      holds: Math.abs(worst - 1) <= BOUND,
    }
  })
}

/** The front after all generations. */
function findFront({ problem, population, generations, evaluate }: KnownProblem, seed: number): readonly Member[] {
  const search: Search = { strategy: 'nsga2', population, generations, seed, plateau: false }
  let checkpoint = begin(problem, search)
  while (checkpoint.end === null) {
    for (const { index, point } of candidates(search, checkpoint)) {
      const next: Fold | null = fold(problem, search, checkpoint, index, { metrics: evaluate(point) })
      if (!next) throw new Error(`candidate ${index} was rejected`)
      checkpoint = next.checkpoint
    }
  }
  return checkpoint.archive
}

function volumeOf({ reference }: KnownProblem, members: readonly Member[]): number {
  return hypervolume(
    members.map(({ objectives }) => objectives),
    reference,
  )
}

function trueVolume({ front, reference }: KnownProblem): number {
  const points = Array.from({ length: SAMPLES + 1 }, (_, i) => front(i / SAMPLES))
  return hypervolume(points, reference)
}

function percent(share: number): string {
  return `${(100 * share).toFixed(2)} %`
}
