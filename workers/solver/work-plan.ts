import type { HornInput } from '../../src/kinds/run/input.js'
import type { Stage } from './progress-bar.js'

/** Sturm-count steps that a modal separation usually takes. */
export const USUAL_SEPARATION_STEPS = 19

export type StageName = 'meshes' | 'modes' | 'separation' | 'sweep' | 'results'

/**
 * Where the time goes, in real factorisations of the whole mesh: they cost n·b²/2 each and outweigh all else. Two for
 * the mode and two a step for the separation; a complex one takes as long as two real ones.
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
