import t from 'tap'
import { applyStiffness, assemble } from '../../workers/solver/assembly.js'
import { halfWaveBar, withLateralInertia } from '../../workers/solver/bar-theory.js'
import { hertz } from '../../workers/solver/frequency.js'
import { type Horn, sliceThickness } from '../../workers/solver/geometry.js'
import { halfWaveSeed, modeCharacter } from '../../workers/solver/longitudinal.js'
import { barSpeed, MATERIALS, planeStress } from '../../workers/solver/material.js'
import { buildMesh, coarserSizes, faceWeights } from '../../workers/solver/mesh.js'
import { elementStiffness, GAUSS_POINTS, lumpedMass, type Point, type Quad, stressMatrix } from '../../workers/solver/q4.js'
import { vonMises } from '../../workers/solver/stress.js'

const titanium = MATERIALS['ti-6al-4v']
const elasticity = planeStress(titanium)
const bent: Quad = [
  [0, 0],
  [0.021, 0.002],
  [0.018, 0.025],
  [-0.003, 0.019],
]
const bar = (over: Partial<Horn> = {}): Horn => ({
  profile: 'uniform',
  widthM: 0.025,
  lengthM: 0.12671,
  drivenThicknessM: 0.025,
  tipThicknessM: 0.025,
  ...over,
})
const times = (k: Float64Array, u: number[]) =>
  u.map((_, row) => u.reduce((sum, value, column) => sum + (k[8 * row + column] ?? Number.NaN) * value, 0))
const near = (found: number, wanted: number, part: number) => Math.abs(found - wanted) <= part * Math.abs(wanted)

t.test('Q4: rigid motions of a distorted element cost no energy, all other motions do', async (t) => {
  const k = elementStiffness(bent, elasticity)
  const scale = Math.max(...k)
  const motions: Record<string, (at: Point) => number[]> = {
    'translation along x': () => [1, 0],
    'translation along y': () => [0, 1],
    rotation: ([x, y]) => [-y, x],
  }
  for (const [name, motion] of Object.entries(motions)) {
    t.ok(Math.max(...times(k, bent.flatMap(motion)).map(Math.abs)) < 1e-12 * scale, `${name} is without force`)
  }
  for (let i = 0; i < 8; i++) {
    const unit = Array.from({ length: 8 }, (_, j) => (i === j ? 1 : 0))
    t.ok((times(k, unit)[i] ?? 0) > 0, `unknown ${i} alone is strained`)
    for (let j = 0; j < i; j++) t.ok(near(k[8 * i + j] ?? 0, k[8 * j + i] ?? 1, 1e-9) || Math.abs(k[8 * i + j] ?? 0) < 1e-12 * scale)
  }
})

t.test(
  'Q4: patch test (MacNeal and Harder 1985): a linear field on distorted elements is in equilibrium and of constant stress',
  async (t) => {
    const points: Point[] = [
      [0, 0],
      [0.24, 0],
      [0.24, 0.12],
      [0, 0.12],
      [0.04, 0.02],
      [0.18, 0.03],
      [0.16, 0.08],
      [0.08, 0.08],
    ]
    const elements = [
      [0, 1, 5, 4],
      [1, 2, 6, 5],
      [2, 3, 7, 6],
      [3, 0, 4, 7],
      [4, 5, 6, 7],
    ]
    const field = ([x, y]: Point) => [1e-3 * (x + y / 2), 1e-3 * (y + x / 2)]
    const [ex, ey, shear] = [1e-3, 1e-3, 1e-3]
    const [d0 = 0, d1 = 0, , , , , , , d8 = 0] = elasticity
    const exact = [d0 * ex + d1 * ey, d1 * ex + d0 * ey, d8 * shear]
    const forces = new Float64Array(16)
    for (const nodes of elements) {
      const quad = nodes.map((node) => points[node]) as unknown as Quad // four nodes each, of the eight points
      const u = quad.flatMap(field)
      times(elementStiffness(quad, elasticity), u).forEach((force, i) => {
        const at = 2 * (nodes[i >> 1] ?? 0) + (i & 1)
        forces[at] = (forces[at] ?? 0) + force
      })
      for (const point of GAUSS_POINTS) {
        const matrix = stressMatrix(quad, elasticity, point)
        exact.forEach((wanted, row) => {
          const stress = u.reduce((sum, value, i) => sum + (matrix[8 * row + i] ?? 0) * value, 0)
          t.ok(near(stress, wanted, 1e-10), `stress component ${row}`)
        })
      }
    }
    const scale = Math.max(...forces.map(Math.abs))
    t.ok(Math.max(...forces.subarray(8).map(Math.abs)) < 1e-12 * scale, 'no force is left on the inner nodes')
  },
)

t.test('Q4: lumped mass is the mass of the element; von Mises of simple states', async (t) => {
  const area =
    0.5 * Math.abs(bent.reduce((sum, [x, y], i) => sum + x * (bent[(i + 1) % 4]?.[1] ?? 0) - (bent[(i + 1) % 4]?.[0] ?? 0) * y, 0))
  const mass = lumpedMass(bent, 4430)
  t.ok(
    near(
      mass.reduce((a, b) => a + b),
      4430 * area,
      1e-12,
    ),
  )
  t.ok(mass.every((m) => m > 0))
  t.equal(vonMises(7, 0, 0), 7, 'tension')
  t.ok(near(vonMises(0, 0, 1), Math.sqrt(3), 1e-15), 'shear')
  t.equal(vonMises(5, 5, 0), 5, 'equal biaxial tension')
})

t.test('geometry: every mesh has the mass of the horn, also with the step inside a row', async (t) => {
  const exponential = bar({ profile: 'exponential', tipThicknessM: 0.00625 })
  const mean = (horn: Horn, rows: number) => sliceThickness(horn, rows).reduce((a, b) => a + b) / rows
  for (const rows of [8, 11, 40, 159]) {
    t.ok(near(mean(bar(), rows), 0.025, 1e-12))
    t.ok(near(mean(bar({ profile: 'stepped', tipThicknessM: 0.0125 }), rows), 0.01875, 1e-12))
    t.ok(near(mean(exponential, rows), (0.025 - 0.00625) / Math.log(4), 1e-12))
  }
  t.ok(near(sliceThickness(bar({ profile: 'stepped', tipThicknessM: 0.0125 }), 9)[4] ?? 0, 0.01875, 1e-12), 'the row with the step')
  const slices = sliceThickness(exponential, 100)
  t.ok(near(slices[50] ?? 0, 0.025 * 4 ** -0.505, 1e-4), 'a slice is as thick as its middle')
  t.ok(near(mean(bar({ profile: 'exponential' }), 8), 0.025, 1e-12), 'an exponential horn without taper')
  t.same(coarserSizes([8, 40]), [
    [2, 10],
    [4, 20],
  ])
  t.same(coarserSizes([2, 8]), [])
})

t.test('assembly: mass of the horn, and free rigid motions', async (t) => {
  const mesh = buildMesh(bar({ profile: 'stepped', tipThicknessM: 0.0125 }), [5, 9])
  const pencil = assemble(mesh, titanium)
  const total = pencil.mass.reduce((a, b) => a + b)
  t.ok(near(total, 2 * 4430 * 0.025 * 0.12671 * 0.01875, 1e-12), 'the mass counts once for each direction')
  t.ok(
    near(
      faceWeights(mesh).reduce((a, b) => a + b),
      1,
      1e-15,
    ),
  )
  const rotation = new Float64Array(pencil.order)
  for (let node = 0; node < mesh.nodeCount; node++) {
    rotation[2 * node] = -Math.floor(node / mesh.nodesAcross) * mesh.stepY
    rotation[2 * node + 1] = (node % mesh.nodesAcross) * mesh.stepX
  }
  const stiffest = pencil.stiffness.reduce((a, b) => Math.max(a, b))
  for (const motion of [rotation.map((_, i) => i % 2), rotation.map((_, i) => 1 - (i % 2)), rotation]) {
    t.ok(Math.max(...applyStiffness(pencil, motion).map(Math.abs)) < 1e-13 * stiffest)
  }
})

t.test('bar theory: the closed forms of the half wave', async (t) => {
  const c = barSpeed(titanium)
  const hz = (horn: Horn) => hertz(halfWaveBar(buildMesh(horn, [2, 160]), titanium).lambda)
  t.ok(near(hz(bar()), c / (2 * 0.12671), 5e-5), 'uniform: f = c/2L')
  const wide = buildMesh(bar({ widthM: 0.1 }), [2, 160])
  const love = c / (2 * 0.12671) / Math.sqrt(1 + (titanium.poisson * Math.PI * 0.1) ** 2 / (12 * 0.12671 ** 2))
  t.ok(near(hertz(withLateralInertia(halfWaveBar(wide, titanium).lambda, wide, titanium)), love, 5e-5), 'Rayleigh–Love')
  t.ok(near(hz(bar({ profile: 'stepped', tipThicknessM: 0.0005 })), c / (2 * 0.12671), 5e-5), 'stepped at L/2: f = c/2L for every step')
  for (const ratio of [1.5, 2, 5, 10]) {
    const lengthM = (c / 40_000) * Math.sqrt(1 + (Math.log(ratio) / Math.PI) ** 2)
    const horn = bar({ profile: 'exponential', lengthM, tipThicknessM: 0.025 / ratio ** 2 })
    t.ok(near(hz(horn), 20_000, 3e-4), `exponential: L = (c/2f)√(1 + (ln N/π)²) for N = ${ratio}`)
    const { motion } = halfWaveBar(buildMesh(horn, [2, 160]), titanium)
    t.ok(near(motion[160] ?? 0, -ratio, 1e-3), 'and the tip moves N times as far')
  }
})

t.test('character of a mode: a half wave is axial with one node, a bending motion is not', async (t) => {
  const mesh = buildMesh(bar(), [8, 40])
  const pencil = assemble(mesh, titanium)
  const seed = halfWaveSeed(mesh, titanium.poisson, halfWaveBar(mesh, titanium).motion)
  const half = modeCharacter(mesh, pencil, seed)
  t.equal(half.nodes, 1)
  t.ok(half.axialShare > 0.99)
  const sideways = modeCharacter(
    mesh,
    pencil,
    seed.map((_, i) => (i % 2 === 0 ? 1 : 0)),
  )
  t.same(sideways, { axialShare: 0, nodes: 0 })
})
