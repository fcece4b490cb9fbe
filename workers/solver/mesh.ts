import { type Horn, sliceThickness } from './geometry.js'
import type { Quad } from './q4.js'

/**
 * A regular mesh of equal rectangles. Nodes are numbered across the width first, which keeps the band of the matrices
 * narrow: node = row · nodesAcross + column, and the unknowns of a node are 2·node (u_x) and 2·node + 1 (u_y). Row 0 is
 * the driven face.
 */
export interface Mesh {
  readonly elementsX: number
  readonly elementsY: number
  readonly nodesAcross: number
  readonly nodeCount: number
  /** Width and height of an element, in metres. */
  readonly stepX: number
  readonly stepY: number
  /** Thickness of each row of elements, in metres. */
  readonly thickness: Float64Array
}

export function buildMesh(horn: Horn, [elementsX, elementsY]: MeshSize): Mesh {
  return {
    elementsX,
    elementsY,
    nodesAcross: elementsX + 1,
    nodeCount: (elementsX + 1) * (elementsY + 1),
    stepX: horn.widthM / elementsX,
    stepY: horn.lengthM / elementsY,
    thickness: sliceThickness(horn, elementsY),
  }
}

/** Columns and rows of elements. */
export type MeshSize = readonly [elementsX: number, elementsY: number]

/** Meshes with a quarter and half of the fineness, except those below 2 × 8 elements. */
export function coarserSizes([elementsX, elementsY]: MeshSize): MeshSize[] {
  return [4, 2]
    .map((by): MeshSize => [Math.round(elementsX / by), Math.round(elementsY / by)])
    .filter(([columns, rows]) => columns >= 2 && rows >= 8)
}

/**
 * Nodes of the element in `column` and `row`, counter-clockwise from its corner nearest to the driven face and to the
 * left.
 */
export function elementNodes(mesh: Mesh, column: number, row: number): readonly [number, number, number, number] {
  const first = row * mesh.nodesAcross + column
  return [first, first + 1, first + mesh.nodesAcross + 1, first + mesh.nodesAcross]
}

/** The shape that all elements of the mesh share, with its first corner at the origin. */
export function elementShape({ stepX, stepY }: Mesh): Quad {
  return [
    [0, 0],
    [stepX, 0],
    [stepX, stepY],
    [0, stepY],
  ]
}

/** Weights of the nodes of one row in a mean over the width (trapezoidal rule); their sum is 1. */
export function faceWeights({ elementsX, nodesAcross }: Mesh): Float64Array {
  const weights = new Float64Array(nodesAcross).fill(1 / elementsX)
  weights[0] = weights[elementsX] = 1 / (2 * elementsX)
  return weights
}
