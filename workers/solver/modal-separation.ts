import type { BandedLdlt } from './banded-ldlt.js'
import { omegaSquared } from './frequency.js'
import { factorNear } from './inverse-iteration.js'
import type { Pacer } from './pacer.js'

/** Free in the plane: two translations and a rotation at 0 Hz, which are no resonances. */
const RIGID_BODY_MODES = 3
/**
 * Below this share of the mode's frequency the count is not used: rounding would mix up rigid-body modes and slow modes
 * there.
 */
const LOWEST_PART = 0.01

export interface Separation {
  /** Distance from the mode to the nearest other mode, in Hz. */
  readonly separationHz: number
  /** Elastic modes below the mode, of any kind. */
  readonly modesBelow: number
}

/** Number of modes below a frequency in Hz, rigid-body modes included: a Sturm count, one factorisation. */
export async function modesBelow(ldlt: BandedLdlt, hz: number, pacer: Pacer): Promise<number> {
  return (await factorNear(ldlt, omegaSquared(hz), pacer)).negativePivots
}

/**
 * How far the nearest other mode is, whatever its kind: the interval around the mode is doubled until the Sturm counts
 * at its two ends say that it holds more than one mode, then bisected until its half width is known to 0.1 % of itself
 * or to 0.1 Hz. About 30 factorisations.
 */
export async function modalSeparation(ldlt: BandedLdlt, modeHz: number, onStep: () => void, pacer: Pacer): Promise<Separation> {
  const lowestHz = LOWEST_PART * modeHz
  const countBelow = async (hz: number) => (hz <= lowestHz ? RIGID_BODY_MODES : modesBelow(ldlt, hz, pacer))
  const isAlone = async (halfWidthHz: number) => {
    const below = await countBelow(modeHz - halfWidthHz)
    onStep()
    return (await countBelow(modeHz + halfWidthHz)) - below <= 1
  }
  let free = 0
  let crowded = 0.001 * modeHz
  while (await isAlone(crowded)) {
    free = crowded
    crowded *= 2
  }
  while (crowded - free > Math.max(0.1, 0.001 * crowded)) {
    const middle = (free + crowded) / 2
    if (await isAlone(middle)) free = middle
    else crowded = middle
  }
  return { separationHz: (free + crowded) / 2, modesBelow: (await countBelow(modeHz - free / 2)) - RIGID_BODY_MODES }
}
