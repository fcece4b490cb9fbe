import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64'
import { uniformInt } from 'pure-rand/distribution/uniformInt'
import { xoroshiro128plus, xoroshiro128plusFromState } from 'pure-rand/generator/xoroshiro128plus'
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator'

/**
 * Pseudo-random numbers (xoroshiro128+) with a state of four integers. Resumed from that state, they continue
 * identically on any machine.
 */
export class RandomNumbers {
  readonly #generator: RandomGenerator

  private constructor(generator: RandomGenerator) {
    this.#generator = generator
  }

  static ofSeed(seed: number): RandomNumbers {
    const generator = xoroshiro128plus(seed)
    // The first numbers after a seed are nearly the seed itself, so those of seeds 1 and 2 are alike. A jump avoids
    // that.
    generator.jump()
    return new RandomNumbers(generator)
  }

  /** Throws if the value is not a state of such numbers. */
  static ofState(state: readonly number[]): RandomNumbers {
    return new RandomNumbers(xoroshiro128plusFromState(state))
  }

  get state(): readonly number[] {
    return this.#generator.getState()
  }

  /** Uniform from 0 to below 1. */
  share(): number {
    return uniformFloat64(this.#generator)
  }

  /** A whole number, uniform from 0 to below `count`. */
  below(count: number): number {
    return uniformInt(this.#generator, 0, count - 1)
  }
}
