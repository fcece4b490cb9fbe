import type { HornInput } from '../../src/kinds/run/input.js'

/** Constants of an isotropic horn material at room temperature, in SI units. */
export interface Material {
  readonly youngPa: number
  readonly poisson: number
  readonly densityKgM3: number
  readonly yieldPa: number
  /**
   * Structural (hysteretic) loss factor η of the horn as mounted and driven, not of the bare metal: the quality factor
   * is 1/η.
   */
  readonly lossFactor: number
}

/** THE table of materials: handbook values for Ti-6Al-4V annealed, Al 7075-T6 and hardened AISI D2. */
export const MATERIALS: Readonly<Record<HornInput['material'], Material>> = {
  'ti-6al-4v': { youngPa: 113.8e9, poisson: 0.342, densityKgM3: 4430, yieldPa: 880e6, lossFactor: 0.003 },
  'al-7075-t6': { youngPa: 71.7e9, poisson: 0.33, densityKgM3: 2810, yieldPa: 503e6, lossFactor: 0.002 },
  'steel-d2': { youngPa: 210e9, poisson: 0.3, densityKgM3: 7700, yieldPa: 1620e6, lossFactor: 0.005 },
}

/** Speed of longitudinal waves in a thin bar, c = √(E/ρ), in m/s. */
export function barSpeed({ youngPa, densityKgM3 }: Material): number {
  return Math.sqrt(youngPa / densityKgM3)
}

/** The plane-stress elasticity matrix D in Pa, 3 × 3 row by row: (σx, σy, τxy) = D (εx, εy, γxy). */
export function planeStress({ youngPa, poisson }: Material): Float64Array {
  const e = youngPa / (1 - poisson * poisson)
  return Float64Array.of(e, poisson * e, 0, poisson * e, e, 0, 0, 0, (e * (1 - poisson)) / 2)
}
