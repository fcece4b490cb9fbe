import type { Pencil } from './assembly.js'
import { halfWaveBar, withLateralInertia } from './bar-theory.js'
import { hertz } from './frequency.js'
import { type Iteration, inverseIteration } from './inverse-iteration.js'
import { halfWaveSeed, type ModeCharacter, modeCharacter } from './longitudinal.js'
import type { Material } from './material.js'
import type { Mesh } from './mesh.js'
import type { Pacer } from './pacer.js'

/** A horn on one mesh. */
export interface Model {
  readonly mesh: Mesh
  readonly material: Material
  readonly pencil: Pencil
}

/** Relative residual of an accepted mode. Its frequency is then accurate to 0.5e-6 of itself at worst. */
const TOLERANCE = 1e-6
const MAX_ITERATIONS = 40
/** A mode with a smaller share of its kinetic energy in the axial motion of whole sections is not longitudinal. */
const LEAST_AXIAL_SHARE = 0.5

export interface HalfWaveMode extends ModeCharacter {
  readonly frequencyHz: number
  /** Displacements of all nodes, scaled to unit modal mass. */
  readonly shape: Float64Array
  readonly iterations: number
  readonly residual: number
}

/** The result of the iteration from the mode of bar theory. `modeFault` decides whether it is a half-wave mode. */
export async function findHalfWaveMode(model: Model, onIteration: (iteration: Iteration) => void, pacer: Pacer): Promise<HalfWaveMode> {
  const { mesh, material, pencil } = model
  const bar = halfWaveBar(mesh, material)
  const seed = halfWaveSeed(mesh, material.poisson, bar.motion)
  await pacer.breathe()
  const options = {
    shift: withLateralInertia(bar.lambda, mesh, material),
    tolerance: TOLERANCE,
    maxIterations: MAX_ITERATIONS,
    onIteration,
  }
  const { lambda, vector, count, residual } = await inverseIteration(pencil, seed, options, pacer)
  return { frequencyHz: hertz(lambda), shape: vector, iterations: count, residual, ...modeCharacter(mesh, pencil, vector) }
}

/**
 * Why a mode is not the half-wave resonance that was asked for, or undefined if it is. Three things must hold: the
 * iteration has converged (10,000 times longer than wide with 32 columns of elements, rounding forbids it); the mode is
 * longitudinal with one node (a horn wider than it is long has no such mode: 160 × 126.71 mm); the target is nearer to
 * it than to its neighbours in the bar, rest at 0 and the full wave at 2f (60 mm of titanium ring at 41.8 kHz, not at
 * 20).
 */
export function modeFault(
  { frequencyHz, iterations, residual, axialShare, nodes }: Omit<HalfWaveMode, 'shape'>,
  targetHz: number,
): string | undefined {
  const failed = `Solver failed to converge after ${iterations} iterations`
  if (!(residual <= TOLERANCE)) return `${failed}: the residual stays at ${residual.toExponential(1)}`
  const found = `the mode found at ${frequencyHz.toFixed(0)} Hz`
  if (axialShare < LEAST_AXIAL_SHARE || nodes !== 1) {
    return `${failed}: ${found} is no half-wave longitudinal mode (${(100 * axialShare).toFixed(0)} % axial, nodes: ${nodes})`
  }
  if (targetHz <= 0.5 * frequencyHz || targetHz >= 1.5 * frequencyHz) {
    return `${failed}: ${found} is out of reach of the target of ${targetHz} Hz`
  }
  return undefined
}
