// Nodes and unknowns belong to the mesh of the field, matrices have a fixed size, so that `as number` reads an element
// that exists.
import { type Material, planeStress } from './material.js'
import { elementNodes, elementShape, type Mesh } from './mesh.js'
import { GAUSS_POINTS, stressMatrix } from './q4.js'

/**
 * Greatest von Mises stress in Pa over all Gauss points for a displacement field in metres. Plane stress: the third
 * principal stress is zero. A sharp step has no fillet here, so no notch factor either: near a step the value is a
 * nominal one.
 */
export function maxVonMises(mesh: Mesh, material: Material, field: Float64Array): number {
  const shape = elementShape(mesh)
  const matrices = GAUSS_POINTS.map((point) => stressMatrix(shape, planeStress(material), point))
  const displacement = new Float64Array(8)
  let most = 0
  for (let row = 0; row < mesh.elementsY; row++) {
    for (let column = 0; column < mesh.elementsX; column++) {
      const nodes = elementNodes(mesh, column, row)
      for (let i = 0; i < 8; i++) displacement[i] = field[2 * (nodes[i >> 1] as number) + (i & 1)] as number
      for (const matrix of matrices) {
        most = Math.max(
          most,
          vonMises(component(matrix, 0, displacement), component(matrix, 8, displacement), component(matrix, 16, displacement)),
        )
      }
    }
  }
  return most
}

/** √(σx² − σxσy + σy² + 3τ²): the equivalent stress of a plane stress. */
export function vonMises(x: number, y: number, shear: number): number {
  return Math.sqrt(x * x - x * y + y * y + 3 * shear * shear)
}

/** One component of the stress: the row of the stress matrix that starts at `start`, times the displacements. */
function component(matrix: Float64Array, start: number, displacement: Float64Array): number {
  let sum = 0
  for (let i = 0; i < 8; i++) sum += (matrix[start + i] as number) * (displacement[i] as number)
  return sum
}
