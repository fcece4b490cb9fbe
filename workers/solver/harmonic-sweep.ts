// Unknowns of the two faces lie inside the vectors of the pencil, so that `as number` reads an element that exists.
import type { Pencil } from './assembly.js'
import { ComplexLdlt } from './complex-ldlt.js'
import { omegaSquared } from './frequency.js'
import { faceWeights, type Mesh } from './mesh.js'
import type { Pacer } from './pacer.js'

/** Answer of the tip to a force of 1 N on the driven face: mean u_y over the tip, a complex amplitude in m/N. */
export interface TipResponse {
  readonly frequencyHz: number
  readonly re: number
  readonly im: number
}

/** |response| in m/N. */
export const magnitude = ({ re, im }: TipResponse) => Math.hypot(re, im)

/**
 * `points` equal steps from `centreHz`·(1 − span) to `centreHz`·(1 + span); an odd number of points includes the
 * centre.
 */
export function sweepFrequencies(centreHz: number, points: number, spanPct: number): number[] {
  return Array.from({ length: points }, (_, i) => centreHz * (1 + (spanPct / 100) * ((2 * i) / (points - 1) - 1)))
}

/**
 * Direct frequency response: at each frequency one solution of ((1 + iη)K − ω²M) u = f on the whole mesh, no modal
 * superposition. f is a harmonic force along the axis, spread evenly over the driven face. Costs one complex
 * factorisation a frequency.
 */
export async function harmonicSweep(
  mesh: Mesh,
  pencil: Pencil,
  lossFactor: number,
  frequenciesHz: readonly number[],
  onResponse: (response: TipResponse, done: number) => void,
  pacer: Pacer,
): Promise<TipResponse[]> {
  const ldlt = new ComplexLdlt(pencil)
  const weights = faceWeights(mesh)
  const firstOfTip = 2 * mesh.elementsY * mesh.nodesAcross
  const responses: TipResponse[] = []
  for (const frequencyHz of frequenciesHz) {
    const u = { re: new Float64Array(pencil.order), im: new Float64Array(pencil.order) }
    weights.forEach((w, column) => {
      u.re[2 * column + 1] = w
    })
    await ldlt.factor(omegaSquared(frequencyHz), lossFactor, pacer)
    ldlt.solve(u)
    const overTip = (field: Float64Array) => weights.reduce((sum, w, i) => sum + w * (field[firstOfTip + 2 * i + 1] as number), 0)
    const response = { frequencyHz, re: overTip(u.re), im: overTip(u.im) }
    responses.push(response)
    onResponse(response, responses.length)
  }
  return responses
}
