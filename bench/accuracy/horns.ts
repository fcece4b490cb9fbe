import type { HornInput } from '../../src/kinds/run/input.js'
import type { Job } from '../../src/worker/processor.js'
import { solveRun } from '../../workers/solver/horn-2d.js'
import { solveWithCalculix } from './example-solver.js'
import type { Figure } from './figure.js'

const BOUND_PCT = 1

const titanium: HornInput = {
  material: 'ti-6al-4v',
  profile: 'uniform',
  width_mm: 25,
  height_mm: 126.71,
  thickness_mm: 25,
  target_frequency_hz: 20_000,
  amplitude_um: 20,
  mesh: { elements_x: 8, elements_y: 40 },
  sweep: { points: 3, span_pct: 1 },
}

/** Horns of usual proportions, for which plane stress holds. */
const USUAL: readonly [name: string, input: HornInput][] = [
  ['Ti-6Al-4V, uniform, 25 × 25 × 126.71 mm', titanium],
  ['Al 7075-T6, uniform, 25 × 25 × 126.28 mm', { ...titanium, material: 'al-7075-t6', height_mm: 126.28 }],
  ['D2, uniform, 25 × 25 × 130.56 mm', { ...titanium, material: 'steel-d2', height_mm: 130.56 }],
  [
    'Ti-6Al-4V, exponential, 25 × 25 to 6.25 × 129.76 mm',
    { ...titanium, profile: 'exponential', height_mm: 129.76, tip_thickness_mm: 6.25 },
  ],
  ['Ti-6Al-4V, blade, 40 × 25 × 126.71 mm', { ...titanium, width_mm: 40 }],
  ['Ti-6Al-4V, wide blade, 100 × 25 × 126.71 mm', { ...titanium, width_mm: 100, mesh: { elements_x: 16, elements_y: 80 } }],
]

/**
 * Horns for which plane stress does not hold. In a thick one the transverse inertia counts too. At a step, stress needs
 * some distance to spread into the wider part; the 2-D model, with a thickness factor per row, spreads it at once and
 * is too stiff.
 */
const BEYOND: readonly [name: string, input: HornInput][] = [
  ['Ti-6Al-4V, as thick as wide, 80 × 80 × 126.71 mm', { ...titanium, width_mm: 80, thickness_mm: 80 }],
  ['Ti-6Al-4V, thick, 25 × 60 × 126.71 mm', { ...titanium, thickness_mm: 60 }],
  ['Ti-6Al-4V, thicker, 25 × 80 × 126.71 mm', { ...titanium, thickness_mm: 80 }],
  ['Ti-6Al-4V, stepped, 25 × 25 to 12.5 × 126.71 mm', { ...titanium, profile: 'stepped', tip_thickness_mm: 12.5 }],
]

/**
 * Natural frequencies of the built-in plane-stress solver against 3-D CalculiX: within 1 % for six horns of usual
 * thickness, more for four where plane stress does not hold. Takes some ten seconds. Rejects without CalculiX.
 */
export async function checkHorns(): Promise<Figure[]> {
  const figures: Figure[] = []
  for (const [isPlane, horns] of [
    [true, USUAL],
    [false, BEYOND],
  ] as const) {
    for (const [name, input] of horns) {
      const builtIn = await solveRun(input, silentJob())
      figures.push(hornFigure(name, frequencyOf(builtIn.metrics_summary), frequencyOf(await solveWithCalculix(input)), isPlane))
    }
  }
  return figures
}

/**
 * Deviation of the built-in solver from CalculiX. A plane horn must stay within 1 %, any other must exceed 1 %, so that
 * the documents do not keep a limit that no longer exists.
 */
export function hornFigure(name: string, builtInHz: number, calculixHz: number, isPlane: boolean): Figure {
  const pct = 100 * (builtInHz / calculixHz - 1)
  return {
    what: `${name}: built-in against CalculiX`,
    figure: `${builtInHz.toFixed(0)} Hz, ${calculixHz.toFixed(0)} Hz: ${pct >= 0 ? '+' : ''}${pct.toFixed(2)} %`,
    bound: isPlane ? `within ${BOUND_PCT} %` : `not plane stress: more than ${BOUND_PCT} % too high`,
    holds: isPlane ? Math.abs(pct) <= BOUND_PCT : pct > BOUND_PCT,
  }
}

/** NaN if missing; every bound rejects it. */
function frequencyOf(metrics: Readonly<Record<string, number>>): number {
  return metrics.natural_frequency_hz ?? Number.NaN
}

/** A job context without subscribers. */
function silentJob(): Job<'run'> {
  return {
    id: 'accuracy',
    signal: new AbortController().signal,
    killed: new AbortController().signal,
    flush: async () => {},
    alive: () => {},
    progress: async () => {},
    metric: async () => {},
    artifact: async () => {},
    folder: async () => '',
    log: () => {},
  }
}
