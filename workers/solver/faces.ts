// Rows run from 0 to elementsY, so that `as number` reads an element that exists.
import { faceWeights, type Mesh } from './mesh.js'

/** Axial displacement of a face: mean and least |u_y| over the width, in the unit of the field. */
interface FaceMotion {
  readonly mean: number
  readonly least: number
}

/** |u_y| along one row of nodes; row 0 is the driven face, row `elementsY` the tip. */
function faceMotion(mesh: Mesh, field: Float64Array, row: number): FaceMotion {
  const axial = faceWeights(mesh).map((_, column) => Math.abs(field[2 * (row * mesh.nodesAcross + column) + 1] as number))
  return { mean: faceMean(mesh, axial), least: axial.reduce((least, u) => Math.min(least, u)) }
}

/**
 * How the tip works: `uniformity` = min |u_y| / mean |u_y| on the tip face, `gain` = mean |u_y| on the tip / mean |u_y|
 * on the driven face.
 */
export function tipQuality(mesh: Mesh, field: Float64Array): { uniformity: number; gain: number } {
  const tip = faceMotion(mesh, field, mesh.elementsY)
  return { uniformity: tip.least / tip.mean, gain: tip.mean / faceMotion(mesh, field, 0).mean }
}

/** The mode scaled so that the mean |u_y| of the tip face is `amplitudeM`, in metres. */
export function scaleToTip(mesh: Mesh, field: Float64Array, amplitudeM: number): Float64Array {
  const factor = amplitudeM / faceMotion(mesh, field, mesh.elementsY).mean
  return field.map((u) => u * factor)
}

function faceMean(mesh: Mesh, values: Float64Array): number {
  return faceWeights(mesh).reduce((sum, w, i) => sum + w * (values[i] as number), 0)
}
