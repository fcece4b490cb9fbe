// The four-node isoparametric quadrilateral in plane stress, 2 × 2 Gauss points (Hughes, The Finite Element Method,
// chapter 3). Indices below run over arrays of fixed length, so that every `as number` reads an element that exists.

export type Point = readonly [x: number, y: number]
/** Corners in metres, counter-clockwise. */
export type Quad = readonly [Point, Point, Point, Point]

const G = 1 / Math.sqrt(3)
/** Gauss points in natural coordinates (ξ, η), each of weight 1. */
export const GAUSS_POINTS: Quad = [
  [-G, -G],
  [G, -G],
  [G, G],
  [-G, G],
]
const CORNERS: Quad = [
  [-1, -1],
  [1, -1],
  [1, 1],
  [-1, 1],
]

/**
 * Strain-displacement matrix B (3 × 8 row by row, in 1/m) and Jacobian determinant (m² per unit square) at a natural
 * point.
 */
export function strainMatrix(quad: Quad, [xi, eta]: Point): { b: Float64Array; detJ: number } {
  const byXi = CORNERS.map(([x, y]) => (x * (1 + y * eta)) / 4)
  const byEta = CORNERS.map(([x, y]) => (y * (1 + x * xi)) / 4)
  const dot = (slopes: number[], axis: 0 | 1) => quad.reduce((sum, point, a) => sum + (slopes[a] as number) * point[axis], 0)
  const [xXi, yXi, xEta, yEta] = [dot(byXi, 0), dot(byXi, 1), dot(byEta, 0), dot(byEta, 1)]
  const detJ = xXi * yEta - yXi * xEta
  const b = new Float64Array(24)
  for (let a = 0; a < 4; a++) {
    const dXi = byXi[a] as number
    const dEta = byEta[a] as number
    const byX = (yEta * dXi - yXi * dEta) / detJ
    const byY = (xXi * dEta - xEta * dXi) / detJ
    b[2 * a] = byX
    b[8 + 2 * a + 1] = byY
    b[16 + 2 * a] = byY
    b[16 + 2 * a + 1] = byX
  }
  return { b, detJ }
}

/** Element stiffness ∫ Bᵀ D B dA for a thickness of one metre: 8 × 8, in N/m per metre. */
export function elementStiffness(quad: Quad, elasticity: Float64Array): Float64Array {
  const k = new Float64Array(64)
  for (const point of GAUSS_POINTS) {
    const { b, detJ } = strainMatrix(quad, point)
    const db = stressMatrix(quad, elasticity, point)
    for (let at = 0; at < 64; at++) {
      const [row, column] = [at >> 3, at & 7]
      const work = [0, 8, 16].reduce((sum, i) => sum + (b[i + row] as number) * (db[i + column] as number), 0)
      k[at] = (k[at] as number) + work * detJ
    }
  }
  return k
}

/** Mass of each corner for a thickness of one metre, ρ ∫ N dA (row-sum lumping), in kg/m. */
export function lumpedMass(quad: Quad, densityKgM3: number): Float64Array {
  const mass = new Float64Array(4)
  for (const point of GAUSS_POINTS) {
    const { detJ } = strainMatrix(quad, point)
    CORNERS.forEach(([x, y], a) => {
      mass[a] = (mass[a] as number) + (densityKgM3 * detJ * (1 + x * point[0]) * (1 + y * point[1])) / 4
    })
  }
  return mass
}

/**
 * Stress matrix D B at a natural point: stress (σx, σy, τxy) in Pa of the eight displacements of an element in metres,
 * 3 × 8 row by row.
 */
export function stressMatrix(quad: Quad, elasticity: Float64Array, point: Point): Float64Array {
  const { b } = strainMatrix(quad, point)
  return b.map((_, at) => {
    const [row, column] = [at >> 3, at & 7]
    return [0, 1, 2].reduce((sum, i) => sum + (elasticity[3 * row + i] as number) * (b[8 * i + column] as number), 0)
  })
}
