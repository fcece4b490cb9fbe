import type { HornInput } from '../../src/kinds/run/input.js'
import type { Stage } from './progress-bar.js'

/** Sturm-count steps that a modal separation usually takes. */
export const USUAL_SEPARATION_STEPS = 19

export type StageName = 'meshes' | 'modes' | 'separation' | 'sweep' | 'results'

/**
 * Cost of the stages in real factorisations of the whole mesh: one costs n·b²/2, and everything else is negligible. The
 * mode takes two, the separation two per step; a complex factorisation takes as long as two real ones.
 */
export function workPlan({ sweep }: Pick<HornInput, 'sweep'>): Record<StageName, Stage> {
  return {
    meshes: { phase: 'meshing', weight: 0.5 },
    modes: { phase: 'solving', weight: 2.5 },
    separation: { phase: 'solving', weight: 2 * USUAL_SEPARATION_STEPS },
    sweep: { phase: 'solving', weight: 2 * sweep.points },
    results: { phase: 'postprocessing', weight: 0.5 },
  }
}
