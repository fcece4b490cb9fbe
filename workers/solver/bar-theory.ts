// Arrays have one element per row of the mesh, or one more for its nodes, so that `as number` reads an element that
// exists.
import { barSpeed, type Material } from './material.js'
import type { Mesh } from './mesh.js'

/** The half-wave mode of the horn taken as a thin bar, free at both ends. */
export interface BarMode {
  /** ω², in rad²/s². */
  readonly lambda: number
  /** Axial displacement of each row of nodes; 1 at the driven face. */
  readonly motion: Float64Array
}

/**
 * Half-wave longitudinal mode by bar theory, for any profile, on the rows of `mesh` (two-node bars, lumped mass).
 * Bisection is safe here: by Sturm's theorem the axial force of a march from the driven face changes its sign inside
 * the bar as often as there are modes below λ.
 */
export function halfWaveBar(mesh: Mesh, material: Material): BarMode {
  const speed = barSpeed(material)
  const passes = (lambda: number) => march(mesh, speed, lambda).forceChanges > 0
  let high = ((Math.PI * speed) / (mesh.stepY * mesh.elementsY)) ** 2
  while (!passes(high)) high *= 2
  let low = 0
  while (high - low > 1e-12 * high) {
    const middle = (low + high) / 2
    if (passes(middle)) high = middle
    else low = middle
  }
  return { lambda: high, motion: march(mesh, speed, low).motion }
}

/**
 * ω² of a bar mode with the inertia of its lateral contraction (Love 1892; Rayleigh): λ / (1 + ν²W²λ/12c²). For the
 * uniform bar that is f = (c/2L) / √(1 + ν²π²W²/12L²), right to 0.02 % at W = 0.2 L and 3 % too high at W = 0.8 L.
 */
export function withLateralInertia(lambda: number, { stepX, elementsX }: Mesh, material: Material): number {
  return lambda / (1 + ((material.poisson * stepX * elementsX) / barSpeed(material)) ** 2 * (lambda / 12))
}

/**
 * Follows the bar from a driven face that moves by 1: each row adds the inertia of its mass to the force, and the force
 * strains the next one.
 */
function march(mesh: Mesh, speed: number, lambda: number): { motion: Float64Array; forceChanges: number } {
  const rows = mesh.elementsY
  const motion = new Float64Array(rows + 1).fill(1)
  const scaled = (lambda * mesh.stepY * mesh.stepY) / (speed * speed)
  let force = 0
  let forceChanges = 0
  for (let node = 0; node <= rows; node++) {
    const before = node > 0 ? (mesh.thickness[node - 1] as number) : 0
    const after = node < rows ? (mesh.thickness[node] as number) : 0
    const next = force - (scaled * (before + after) * (motion[node] as number)) / 2
    if (force * next < 0) forceChanges++
    force = next
    if (node < rows) motion[node + 1] = (motion[node] as number) + force / after
  }
  return { motion, forceChanges }
}
