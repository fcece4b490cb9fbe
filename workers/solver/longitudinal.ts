// Indices are nodes of the mesh whose field is given, so that `as number` reads an element that exists.

import type { Pencil } from './assembly.js'
import { faceWeights, type Mesh } from './mesh.js'

/**
 * First guess of the half-wave mode on the mesh: the axial motion of bar theory, and with it the contraction u_x =
 * −ν·x·du_y/dy that Poisson's ratio asks for, x from the centre line. For the uniform horn it is u_y = cos(πy/L), u_x =
 * ν(π/L)x·sin(πy/L).
 */
export function halfWaveSeed(mesh: Mesh, poisson: number, motion: Float64Array): Float64Array {
  const seed = new Float64Array(2 * mesh.nodeCount)
  for (let node = 0; node < mesh.nodeCount; node++) {
    const row = Math.floor(node / mesh.nodesAcross)
    const x = ((node % mesh.nodesAcross) - mesh.elementsX / 2) * mesh.stepX
    const before = motion[Math.max(0, row - 1)] as number
    const after = motion[Math.min(row + 1, mesh.elementsY)] as number
    seed[2 * node] = (-poisson * x * (after - before)) / (2 * mesh.stepY)
    seed[2 * node + 1] = motion[row] as number
  }
  return seed
}

/** Mean of u_y over the width, for each row of nodes from the driven face to the tip. */
export function axialMotion(mesh: Mesh, field: Float64Array): Float64Array {
  const weights = faceWeights(mesh)
  return Float64Array.from({ length: mesh.elementsY + 1 }, (_, row) =>
    weights.reduce((sum, w, column) => sum + w * (field[2 * (row * mesh.nodesAcross + column) + 1] as number), 0),
  )
}

/** How far a mode is a longitudinal one. */
export interface ModeCharacter {
  /**
   * Part of the kinetic energy in which each section moves as a whole along the axis: 1 for an ideal thin bar, 0 for
   * bending.
   */
  readonly axialShare: number
  /** Sections at rest, where the axial motion changes its sign: 1 for the half wave. */
  readonly nodes: number
}

export function modeCharacter(mesh: Mesh, { mass }: Pencil, field: Float64Array): ModeCharacter {
  const axial = axialMotion(mesh, field)
  const total = field.reduce((sum, u, i) => sum + u * u * (mass[i] as number), 0)
  const plane = field.reduce((sum, _, i) => {
    return sum + (i % 2) * (mass[i] as number) * (axial[Math.floor(i / 2 / mesh.nodesAcross)] as number) ** 2
  }, 0)
  const noise = 1e-6 * axial.reduce((most, u) => Math.max(most, Math.abs(u)), 0)
  const signs = Array.from(
    axial.filter((u) => Math.abs(u) > noise),
    Math.sign,
  )
  return { axialShare: plane / total, nodes: signs.filter((sign, i) => i > 0 && sign !== signs[i - 1]).length }
}
