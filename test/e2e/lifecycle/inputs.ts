import type { KindName } from '../../../src/kinds/index.js'

export interface Input {
  readonly kind: KindName
  /** How often it is submitted, against the others. */
  readonly weight: number
  readonly body: object
  /** How long it may take, where it does not end by itself. */
  readonly timeoutS?: number
}

/** A run of this width never looks at its signal, and never ends (`chaos-thread.ts`). */
export const DEAF_WIDTH_MM = 13

const BAR = { material: 'ti-6al-4v', profile: 'uniform', width_mm: 25, height_mm: 126.71, thickness_mm: 25 }
const BENCHMARK = { models: ['local/ngram'], warmup: 0, max_tokens: 16 }

/** Eight horns near the bar, three at a time: each a run of its own that dies and is taken up like any other. */
const SEARCH = {
  base: BAR,
  variables: [
    { name: 'width_mm', min: 20, max: 30 },
    { name: 'height_mm', min: 122, max: 130 },
  ],
  objectives: [
    { metric: 'frequency_deviation_pct', direction: 'minimize' },
    { metric: 'max_von_mises_stress_mpa', direction: 'minimize' },
  ],
  population: 4,
  generations: 2,
  parallel: 3,
}

/** What is computed: real work, from tens of milliseconds to some seconds. */
export const INPUTS = {
  'short run': { kind: 'run', weight: 4, body: BAR },
  'longer run': { kind: 'run', weight: 3, body: { ...BAR, mesh: { elements_x: 10, elements_y: 50 }, sweep: { points: 121 } } },
  'long run': { kind: 'run', weight: 3, body: { ...BAR, mesh: { elements_x: 12, elements_y: 60 }, sweep: { points: 201 } } },
  // Far too short for 20 kHz: that is seen while solving.
  'run that fails': { kind: 'run', weight: 2, body: { ...BAR, height_mm: 30 } },
  'deaf run': { kind: 'run', weight: 1, body: { ...BAR, width_mm: DEAF_WIDTH_MM }, timeoutS: 4 },
  optimization: { kind: 'optimization', weight: 1, body: SEARCH },
  benchmark: { kind: 'benchmark', weight: 2, body: { ...BENCHMARK, runs: 3, context_tiers: [0] } },
  'longer benchmark': { kind: 'benchmark', weight: 1, body: { ...BENCHMARK, runs: 12, context_tiers: [0, 1000], max_tokens: 64 } },
} as const satisfies Record<string, Input>

export type InputName = keyof typeof INPUTS
