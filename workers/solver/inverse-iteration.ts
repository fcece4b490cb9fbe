// Vectors below all have the order of the pencil, so that `as number` reads an element that exists.
import { applyStiffness, type Pencil } from './assembly.js'
import { BandedLdlt, type Inertia } from './banded-ldlt.js'
import type { Pacer } from './pacer.js'

/** An approximate eigenpair K v = λ M v. */
export interface Eigenpair {
  /** λ = ω², in rad²/s². */
  readonly lambda: number
  /** v with vᵀMv = 1. */
  readonly vector: Float64Array
  /**
   * ‖Kv − λMv‖ / λ in the norm of M⁻¹: some eigenvalue lies within λ·(1 ± residual) (Parlett, The Symmetric Eigenvalue
   * Problem, chapter 4).
   */
  readonly residual: number
}

export interface Iteration extends Eigenpair {
  /** 1 after the first solve. */
  readonly count: number
}

export interface IterationOptions {
  /** Where the wanted eigenvalue is expected, in rad²/s². */
  readonly shift: number
  readonly tolerance: number
  readonly maxIterations: number
  readonly onIteration: (iteration: Iteration) => void
}

/**
 * The shift stays constant until an eigenvalue is known to lie this near. Then it follows the Rayleigh quotient, which
 * converges cubically.
 */
const RESHIFT_RESIDUAL = 0.2

/**
 * Shift-invert inverse iteration from `seed`. It converges to the eigenvector that is both strong in the seed and near
 * the shift. Resolves with the last iteration: the one whose residual is within the tolerance, or number
 * `maxIterations`.
 */
export async function inverseIteration(pencil: Pencil, seed: Float64Array, options: IterationOptions, pacer: Pacer): Promise<Iteration> {
  const ldlt = new BandedLdlt(pencil)
  await pacer.breathe()
  let pair = rayleigh(pencil, seed)
  await factorNear(ldlt, options.shift, pacer)
  for (let count = 1; ; count++) {
    const vector = pair.vector.map((v, i) => v * (pencil.mass[i] as number))
    ldlt.solve(vector)
    await pacer.breathe()
    pair = rayleigh(pencil, vector)
    const iteration = { ...pair, count }
    await pacer.breathe()
    options.onIteration(iteration)
    if (pair.residual <= options.tolerance || count >= options.maxIterations) return iteration
    if (pair.residual < RESHIFT_RESIDUAL) await factorNear(ldlt, pair.lambda, pacer)
  }
}

/** Factorises at the shift, or slightly above it if the matrix is singular there. */
export async function factorNear(ldlt: BandedLdlt, shift: number, pacer: Pacer): Promise<Inertia> {
  for (let nudge = 1e-12; ; nudge *= 10) {
    const inertia = await ldlt.factor(shift * (1 + nudge), pacer)
    if (inertia.singularColumn === undefined) return inertia
  }
}

/** The vector scaled to vᵀMv = 1, with its Rayleigh quotient and residual. */
function rayleigh(pencil: Pencil, direction: Float64Array): Eigenpair {
  const { mass } = pencil
  const norm = Math.sqrt(direction.reduce((sum, v, i) => sum + v * v * (mass[i] as number), 0))
  const vector = direction.map((v) => v / norm)
  const force = applyStiffness(pencil, vector)
  const lambda = force.reduce((sum, f, i) => sum + f * (vector[i] as number), 0)
  const square = force.reduce((sum, f, i) => {
    const m = mass[i] as number
    return sum + (f - lambda * m * (vector[i] as number)) ** 2 / m
  }, 0)
  return { lambda, vector, residual: Math.sqrt(square) / lambda }
}
