// Every index stays inside an array that its constructor padded by one bandwidth, so that `as number` reads an element
// that exists.
import type { Pencil } from './assembly.js'
import { COLUMNS_PER_LOOK, type Pacer } from './pacer.js'

/** What a factorisation of K − λM says about the spectrum. */
export interface Inertia {
  /** Negative pivots: by Sylvester's law of inertia the number of eigenvalues below λ. */
  readonly negativePivots: number
  /**
   * The first column whose pivot vanished in rounding; the factors must not be used then, λ is an eigenvalue of a
   * leading block.
   */
  readonly singularColumn: number | undefined
}

/**
 * LDLᵀ of a shifted pencil K − λM inside the band, without pivoting (Golub and Van Loan, Matrix Computations, chapter
 * 4). One object is one workspace, used again for every shift: n·b²/2 multiply-adds for order n and half-bandwidth b,
 * 8·n·b bytes.
 */
export class BandedLdlt {
  readonly #pencil: Pencil
  readonly #width: number
  readonly #factors: Float64Array
  readonly #smallestPivot: number

  constructor(pencil: Pencil) {
    this.#pencil = pencil
    this.#width = pencil.halfBandwidth + 1
    // A bandwidth of columns behind the last one, always zero, spares the inner loop every test for the end of the
    // matrix.
    this.#factors = new Float64Array((pencil.order + pencil.halfBandwidth) * this.#width)
    let largest = 0
    for (let column = 0; column < pencil.order; column++) {
      largest = Math.max(largest, Math.abs(pencil.stiffness[column * this.#width] as number))
    }
    this.#smallestPivot = 4 * Number.EPSILON * largest
  }

  /** Factorises K − `shift`·M, `shift` = ω² in rad²/s². Yields to the event loop on the way. */
  async factor(shift: number, pacer: Pacer): Promise<Inertia> {
    const { order, stiffness, mass } = this.#pencil
    const factors = this.#factors
    factors.set(stiffness)
    for (let column = 0; column < order; column++) {
      const at = column * this.#width
      factors[at] = (factors[at] as number) - shift * (mass[column] as number)
    }
    let negativePivots = 0
    for (let first = 0; first < order; first += COLUMNS_PER_LOOK) {
      const end = Math.min(order, first + COLUMNS_PER_LOOK)
      for (let column = first; column < end; column++) {
        const pivot = factors[column * this.#width] as number
        if (Math.abs(pivot) <= this.#smallestPivot) return { negativePivots, singularColumn: column }
        if (pivot < 0) negativePivots++
        eliminate(factors, column * this.#width, this.#width)
      }
      if (pacer.due()) await pacer.pause()
    }
    return { negativePivots, singularColumn: undefined }
  }

  /** Solves (K − shift·M) x = b in place of b, with the last factors. */
  solve(x: Float64Array): void {
    const { order, halfBandwidth } = this.#pencil
    const factors = this.#factors
    for (let column = 0; column < order; column++) {
      const start = column * this.#width
      const last = Math.min(halfBandwidth, order - 1 - column)
      const xColumn = x[column] as number
      for (let below = 1; below <= last; below++) {
        x[column + below] = (x[column + below] as number) - (factors[start + below] as number) * xColumn
      }
    }
    for (let column = order - 1; column >= 0; column--) {
      const start = column * this.#width
      const last = Math.min(halfBandwidth, order - 1 - column)
      let sum = (x[column] as number) / (factors[start] as number)
      for (let below = 1; below <= last; below++) sum -= (factors[start + below] as number) * (x[column + below] as number)
      x[column] = sum
    }
  }
}

/** Takes the column that starts at `start` out of the triangle to its right, and divides it by its pivot. */
function eliminate(factors: Float64Array, start: number, width: number): void {
  const reciprocal = 1 / (factors[start] as number)
  for (let i = 1; i < width; i++) {
    const l = (factors[start + i] as number) * reciprocal
    const target = start + i * (width - 1)
    for (let j = i; j < width; j++) {
      factors[target + j] = (factors[target + j] as number) - l * (factors[start + j] as number)
    }
  }
  for (let i = 1; i < width; i++) factors[start + i] = (factors[start + i] as number) * reciprocal
}
