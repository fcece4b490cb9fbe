// Unknowns of all nodes lie inside the shape, so that `as number` reads an element that exists.
import { magnitude, type TipResponse } from './harmonic-sweep.js'
import type { Mesh } from './mesh.js'

/** The response of the tip over frequency, as CSV. */
export function responseCsv(responses: readonly TipResponse[]): string {
  const rows = responses.map((response) => [response.frequencyHz, response.re, response.im, magnitude(response)].join())
  return `${['frequency_hz,re_m_per_n,im_m_per_n,magnitude_m_per_n', ...rows].join('\n')}\n`
}

/** A mode as a grid with the displacement of each node, in the legacy format of VTK. Lengths are in metres. */
export function modeVtk(mesh: Mesh, shape: Float64Array, title: string): string {
  const { nodesAcross, nodeCount, elementsY, stepX, stepY } = mesh
  const points: string[] = []
  const vectors: string[] = []
  for (let node = 0; node < nodeCount; node++) {
    const row = Math.floor(node / nodesAcross)
    points.push(`${(node - row * nodesAcross) * stepX} ${row * stepY} 0`)
    vectors.push(`${shape[2 * node] as number} ${shape[2 * node + 1] as number} 0`)
  }
  return `${[
    '# vtk DataFile Version 3.0',
    title,
    'ASCII',
    'DATASET STRUCTURED_GRID',
    `DIMENSIONS ${nodesAcross} ${elementsY + 1} 1`,
    `POINTS ${nodeCount} double`,
    ...points,
    `POINT_DATA ${nodeCount}`,
    'VECTORS displacement double',
    ...vectors,
  ].join('\n')}\n`
}
