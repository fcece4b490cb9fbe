import { type Material, planeStress } from './material.js'
import { elementNodes, elementShape, type Mesh } from './mesh.js'
import { elementStiffness, lumpedMass } from './q4.js'

/**
 * The pair (K, M) of a free structure. K is symmetric and banded: the lower triangle, column by column, K[row, column]
 * at `stiffness[column · (halfBandwidth + 1) + row − column]`, in N/m. M is diagonal, in kg.
 */
export interface Pencil {
  readonly order: number
  readonly halfBandwidth: number
  readonly stiffness: Float64Array
  readonly mass: Float64Array
}

/**
 * Stiffness and lumped mass of the mesh. All elements share one shape, so that each is the same matrix times the
 * thickness of its row.
 */
export function assemble(mesh: Mesh, material: Material): Pencil {
  const order = 2 * mesh.nodeCount
  const halfBandwidth = 2 * (mesh.nodesAcross + 1) + 1
  const pencil = { order, halfBandwidth, stiffness: new Float64Array(order * (halfBandwidth + 1)), mass: new Float64Array(order) }
  const shape = elementShape(mesh)
  const k = elementStiffness(shape, planeStress(material))
  const m = lumpedMass(shape, material.densityKgM3)
  mesh.thickness.forEach((thickness, row) => {
    for (let column = 0; column < mesh.elementsX; column++) addElement(pencil, elementNodes(mesh, column, row), k, m, thickness)
  })
  return pencil
}

/**
 * Adds an element; `as number` holds because nodes, and with them unknowns, lie inside the mesh that the arrays were
 * made for.
 */
function addElement(pencil: Pencil, nodes: readonly number[], k: Float64Array, m: Float64Array, thickness: number): void {
  const { stiffness, mass, halfBandwidth } = pencil
  for (let b = 0; b < 8; b++) {
    const column = 2 * (nodes[b >> 1] as number) + (b & 1)
    mass[column] = (mass[column] as number) + (m[b >> 1] as number) * thickness
    for (let a = 0; a < 8; a++) {
      const row = 2 * (nodes[a >> 1] as number) + (a & 1)
      if (row < column) continue
      const at = column * (halfBandwidth + 1) + row - column
      stiffness[at] = (stiffness[at] as number) + (k[8 * a + b] as number) * thickness
    }
  }
}

/** K·x, in newtons for x in metres. */
export function applyStiffness({ order, halfBandwidth, stiffness }: Pencil, x: Float64Array): Float64Array {
  const y = new Float64Array(order)
  for (let column = 0; column < order; column++) {
    const start = column * (halfBandwidth + 1)
    const last = Math.min(halfBandwidth, order - 1 - column)
    const xColumn = x[column] as number
    let sum = (stiffness[start] as number) * xColumn
    for (let below = 1; below <= last; below++) {
      const entry = stiffness[start + below] as number
      sum += entry * (x[column + below] as number)
      y[column + below] = (y[column + below] as number) + entry * xColumn
    }
    y[column] = (y[column] as number) + sum
  }
  return y
}
