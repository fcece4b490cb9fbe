import t from 'tap'
import { applyStiffness, type Pencil } from '../../workers/solver/assembly.js'
import { BandedLdlt } from '../../workers/solver/banded-ldlt.js'
import { ComplexLdlt } from '../../workers/solver/complex-ldlt.js'
import { hertz, omegaSquared } from '../../workers/solver/frequency.js'
import type { TipResponse } from '../../workers/solver/harmonic-sweep.js'
import { inverseIteration } from '../../workers/solver/inverse-iteration.js'
import { modesBelow } from '../../workers/solver/modal-separation.js'
import { Pacer } from '../../workers/solver/pacer.js'
import { fitResonance } from '../../workers/solver/resonance-fit.js'

const unhurried = () => new Pacer(new AbortController().signal)

/** A generator of numbers in (-0.5, 0.5) that is the same on every machine. */
function numbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32 - 0.5
  }
}

function randomPencil(order: number, halfBandwidth: number): Pencil {
  const next = numbers(order)
  const stiffness = new Float64Array(order * (halfBandwidth + 1))
  for (let column = 0; column < order; column++) {
    for (let below = 0; below <= halfBandwidth && column + below < order; below++) {
      stiffness[column * (halfBandwidth + 1) + below] = next() + (below === 0 ? 3 : 0)
    }
  }
  return { order, halfBandwidth, stiffness, mass: Float64Array.from({ length: order }, () => 1.5 + next()) }
}

/** n equal masses on springs of one, free at both ends: eigenvalues 4 sin²(πj/2n), j = 0 … n − 1. */
function chain(order: number): Pencil {
  const stiffness = new Float64Array(2 * order)
  for (let i = 0; i < order; i++) stiffness.set([i === 0 || i === order - 1 ? 1 : 2, i === order - 1 ? 0 : -1], 2 * i)
  return { order, halfBandwidth: 1, stiffness, mass: new Float64Array(order).fill(1) }
}
const chainEigenvalue = (j: number, order: number) => 4 * Math.sin((Math.PI * j) / (2 * order)) ** 2

function dense({ order, halfBandwidth, stiffness, mass }: Pencil, shift: number): number[][] {
  return Array.from({ length: order }, (_, i) =>
    Array.from({ length: order }, (_, j) => {
      const [row, column] = [Math.max(i, j), Math.min(i, j)]
      const k = row - column > halfBandwidth ? 0 : (stiffness[column * (halfBandwidth + 1) + row - column] ?? 0)
      return i === j ? k - shift * (mass[i] ?? 0) : k
    }),
  )
}

/** Gaussian elimination with partial pivoting. */
function denseSolve(matrix: number[][], right: readonly number[]): number[] {
  const rows = matrix.map((row, i) => [...row, right[i] ?? 0])
  const n = rows.length
  for (let k = 0; k < n; k++) {
    rows.splice(k, n - k, ...rows.slice(k).sort((a, b) => Math.abs(b[k] ?? 0) - Math.abs(a[k] ?? 0)))
    const pivot = rows[k] ?? []
    for (const row of rows.slice(k + 1)) {
      const factor = (row[k] ?? 0) / (pivot[k] ?? 0)
      for (let j = k; j <= n; j++) row[j] = (row[j] ?? 0) - factor * (pivot[j] ?? 0)
    }
  }
  const x = new Array<number>(n).fill(0)
  for (let k = n - 1; k >= 0; k--) {
    const row = rows[k] ?? []
    x[k] = ((row[n] ?? 0) - x.slice(k + 1).reduce((sum, v, j) => sum + v * (row[k + 1 + j] ?? 0), 0)) / (row[k] ?? 0)
  }
  return x
}
const distance = (a: ArrayLike<number>, b: ArrayLike<number>) => Math.max(...Array.from(a, (v, i) => Math.abs(v - (b[i] ?? Number.NaN))))

t.test('LDLᵀ solves as a dense elimination does, definite and indefinite', async (t) => {
  for (const [order, halfBandwidth] of [
    [30, 4],
    [53, 9],
    [7, 6],
  ] as const) {
    const pencil = randomPencil(order, halfBandwidth)
    const right = Array.from({ length: order }, numbers(7))
    const ldlt = new BandedLdlt(pencil)
    for (const shift of [0, 1.7, 2.3]) {
      await ldlt.factor(shift, unhurried())
      const x = Float64Array.from(right)
      ldlt.solve(x)
      t.ok(distance(x, denseSolve(dense(pencil, shift), right)) < 1e-10, `order ${order}, shift ${shift}`)
    }
    const x = Float64Array.from(right)
    const product = dense(pencil, 0).map((row) => row.reduce((sum, k, j) => sum + k * (x[j] ?? 0), 0))
    t.ok(distance(applyStiffness(pencil, x), product) < 1e-13, 'the banded product too')
  }
})

t.test('complex LDLᵀ solves as the real system of twice the order, and as the real one without damping', async (t) => {
  const pencil = randomPencil(31, 5)
  const right = Array.from({ length: 31 }, numbers(5))
  const ldlt = new ComplexLdlt(pencil)
  const [shift, loss] = [2.1, 0.3]
  const real = dense(pencil, shift)
  const imaginary = dense(pencil, 0).map((row) => row.map((k) => loss * k))
  const upper = real.map((row, i) => [...row, ...(imaginary[i] ?? []).map((v) => -v)])
  const lower = imaginary.map((row, i) => [...row, ...(real[i] ?? [])])
  await ldlt.factor(shift, loss, unhurried())
  const x = { re: Float64Array.from(right), im: new Float64Array(31) }
  ldlt.solve(x)
  t.ok(distance([...x.re, ...x.im], denseSolve([...upper, ...lower], [...right, ...right.map(() => 0)])) < 1e-10)
  await ldlt.factor(shift, 0, unhurried())
  const undamped = { re: Float64Array.from(right), im: new Float64Array(31) }
  ldlt.solve(undamped)
  t.ok(distance(undamped.re, denseSolve(real, right)) < 1e-10)
  t.ok(undamped.im.every((v) => v === 0))
})

t.test('Sturm count: negative pivots are the eigenvalues below the shift', async (t) => {
  const order = 24
  const ldlt = new BandedLdlt(chain(order))
  for (let j = 1; j < order; j++) {
    const between = (chainEigenvalue(j - 1, order) + chainEigenvalue(j, order)) / 2
    t.equal((await ldlt.factor(between, unhurried())).negativePivots, j)
    t.equal(await modesBelow(ldlt, hertz(between), unhurried()), j)
  }
  t.equal((await ldlt.factor(5, unhurried())).negativePivots, order)
})

t.test('a vanishing pivot is reported, and counts step over it', async (t) => {
  const ldlt = new BandedLdlt(chain(12))
  t.equal((await ldlt.factor(0, unhurried())).singularColumn, 11, 'a free chain is singular in its last column')
  t.equal((await ldlt.factor(1, unhurried())).singularColumn, 0, 'the shift equals the first diagonal element')
  t.equal(await modesBelow(ldlt, hertz(1), unhurried()), 5, 'counted just above it: 0, 0.07, 0.27, 0.59 and 1')
  t.equal((await ldlt.factor(0.3, unhurried())).singularColumn, undefined)
})

t.test('inverse iteration converges cubically to the eigenpair near its seed, and says so when it does not', async (t) => {
  const order = 40
  const pencil = chain(order)
  const shape = (j: number) => Float64Array.from({ length: order }, (_, i) => Math.cos((Math.PI * j * (i + 0.5)) / order))
  const noise = numbers(3)
  const seed = shape(3).map((v) => v + 0.05 * noise())
  const counts: number[] = []
  const options = {
    shift: 1.2 * chainEigenvalue(3, order),
    tolerance: 1e-10,
    maxIterations: 20,
    onIteration: ({ count }: { count: number }) => counts.push(count),
  }
  const found = await inverseIteration(pencil, seed, options, unhurried())
  t.ok(Math.abs(found.lambda - chainEigenvalue(3, order)) < 1e-12)
  t.ok(found.residual <= 1e-10)
  t.ok(found.count <= 6, `${found.count} iterations`)
  t.same(
    counts,
    counts.map((_, i) => i + 1),
  )
  const stopped = await inverseIteration(pencil, seed, { ...options, tolerance: 0, maxIterations: 4 }, unhurried())
  t.equal(stopped.count, 4)
})

t.test('the fit of a resonance is exact for one mode on a constant background, and silent where there is none', async (t) => {
  const [f0, q] = [20_000, 333]
  const response = (frequencyHz: number): TipResponse => {
    const gap = omegaSquared(f0) - omegaSquared(frequencyHz)
    const loss = omegaSquared(f0) / q
    const square = gap * gap + loss * loss
    return { frequencyHz, re: (-3 * gap) / square + 1e-12, im: (3 * loss) / square }
  }
  const fit = fitResonance([19_000, 19_400, 19_800, 20_200, 20_600].map(response))
  t.ok(Math.abs((fit?.frequencyHz ?? 0) - f0) < 1e-3)
  t.ok(Math.abs((fit?.qualityFactor ?? 0) - q) < 1e-3)
  t.equal(fitResonance([1, 2, 3].map((i) => ({ frequencyHz: 1000 * i, re: i * i, im: -i }))), undefined)
  t.equal(fitResonance([response(19_000)]), undefined)
})

t.test('factorisations look at the clock every 16 columns, and end there when aborted', async (t) => {
  const pencil = randomPencil(100, 3)
  const controller = new AbortController()
  let turns = 0
  const turn = async () => {
    if (++turns === 17) controller.abort(new Error('enough'))
  }
  const pacer = new Pacer(controller.signal, { budgetMs: 0, now: () => 0, turn })
  await new BandedLdlt(pencil).factor(0, pacer)
  t.equal(turns, 7)
  await new ComplexLdlt(pencil).factor(1, 0.01, pacer)
  t.equal(turns, 14)
  await t.rejects(new BandedLdlt(pencil).factor(0, pacer), { message: 'enough' })
  t.equal(turns, 17)
})

t.test('a pacer yields when its budget is spent and not before', async (t) => {
  let now = 0
  let turns = 0
  const pacer = new Pacer(new AbortController().signal, { budgetMs: 15, now: () => now, turn: async () => void turns++ })
  now = 14.9
  t.notOk(pacer.due())
  now = 15
  t.ok(pacer.due())
  await pacer.pause()
  t.equal(turns, 1)
  t.notOk(pacer.due(), 'the budget begins anew')
  now = 30
  t.ok(pacer.due())
})
