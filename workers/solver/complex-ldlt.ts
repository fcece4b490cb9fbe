// Every index stays inside arrays that the constructor padded by one bandwidth, so that `as number` reads an element
// that exists.
import type { Pencil } from './assembly.js'
import { COLUMNS_PER_LOOK, type Pacer } from './pacer.js'

/** A vector of complex numbers, real and imaginary parts apart. */
export interface ComplexVector {
  readonly re: Float64Array
  readonly im: Float64Array
}

/**
 * LDLᵀ (complex symmetric, not Hermitian) of the dynamic stiffness of a structure with hysteretic damping, (1 + iη)K −
 * ω²M. With η > 0 it is regular at every frequency above zero. One object is one workspace: n·b²/2 complex
 * multiply-adds and 16·n·b bytes.
 */
export class ComplexLdlt {
  readonly #pencil: Pencil
  readonly #width: number
  readonly #re: Float64Array
  readonly #im: Float64Array

  constructor(pencil: Pencil) {
    this.#pencil = pencil
    this.#width = pencil.halfBandwidth + 1
    const size = (pencil.order + pencil.halfBandwidth) * this.#width
    this.#re = new Float64Array(size)
    this.#im = new Float64Array(size)
  }

  /** Factorises (1 + iη)K − `omegaSquared`·M, in rad²/s². Yields to the event loop on the way. */
  async factor(omegaSquared: number, lossFactor: number, pacer: Pacer): Promise<void> {
    const { order, stiffness, mass } = this.#pencil
    const re = this.#re
    const im = this.#im
    re.set(stiffness)
    for (let at = 0; at < stiffness.length; at++) im[at] = lossFactor * (stiffness[at] as number)
    for (let column = 0; column < order; column++) {
      const at = column * this.#width
      re[at] = (re[at] as number) - omegaSquared * (mass[column] as number)
    }
    for (let first = 0; first < order; first += COLUMNS_PER_LOOK) {
      const end = Math.min(order, first + COLUMNS_PER_LOOK)
      for (let column = first; column < end; column++) eliminate(re, im, column * this.#width, this.#width)
      if (pacer.due()) await pacer.pause()
    }
  }

  /** Solves for the right-hand side x in place, with the last factors. */
  solve(x: ComplexVector): void {
    const { order, halfBandwidth } = this.#pencil
    for (let column = 0; column < order; column++) {
      this.#forward(x, column, Math.min(halfBandwidth, order - 1 - column))
    }
    for (let column = order - 1; column >= 0; column--) {
      this.#backward(x, column, Math.min(halfBandwidth, order - 1 - column))
    }
  }

  #forward({ re, im }: ComplexVector, column: number, last: number): void {
    const start = column * this.#width
    const xRe = re[column] as number
    const xIm = im[column] as number
    for (let below = 1; below <= last; below++) {
      const lRe = this.#re[start + below] as number
      const lIm = this.#im[start + below] as number
      re[column + below] = (re[column + below] as number) - lRe * xRe + lIm * xIm
      im[column + below] = (im[column + below] as number) - lRe * xIm - lIm * xRe
    }
  }

  #backward({ re, im }: ComplexVector, column: number, last: number): void {
    const start = column * this.#width
    const dRe = this.#re[start] as number
    const dIm = this.#im[start] as number
    const square = dRe * dRe + dIm * dIm
    let sumRe = ((re[column] as number) * dRe + (im[column] as number) * dIm) / square
    let sumIm = ((im[column] as number) * dRe - (re[column] as number) * dIm) / square
    for (let below = 1; below <= last; below++) {
      const lRe = this.#re[start + below] as number
      const lIm = this.#im[start + below] as number
      const xRe = re[column + below] as number
      const xIm = im[column + below] as number
      sumRe -= lRe * xRe - lIm * xIm
      sumIm -= lRe * xIm + lIm * xRe
    }
    re[column] = sumRe
    im[column] = sumIm
  }
}

/** Takes the column that starts at `start` out of the triangle to its right, and divides it by its pivot. */
function eliminate(re: Float64Array, im: Float64Array, start: number, width: number): void {
  const dRe = re[start] as number
  const dIm = im[start] as number
  const square = dRe * dRe + dIm * dIm
  const rRe = dRe / square
  const rIm = -dIm / square
  for (let i = 1; i < width; i++) {
    const aRe = re[start + i] as number
    const aIm = im[start + i] as number
    const lRe = aRe * rRe - aIm * rIm
    const lIm = aRe * rIm + aIm * rRe
    const target = start + i * (width - 1)
    for (let j = i; j < width; j++) {
      const bRe = re[start + j] as number
      const bIm = im[start + j] as number
      re[target + j] = (re[target + j] as number) - lRe * bRe + lIm * bIm
      im[target + j] = (im[target + j] as number) - lRe * bIm - lIm * bRe
    }
  }
  for (let i = 1; i < width; i++) {
    const aRe = re[start + i] as number
    const aIm = im[start + i] as number
    re[start + i] = aRe * rRe - aIm * rIm
    im[start + i] = aRe * rIm + aIm * rRe
  }
}
