import type { HornInput } from '../../src/kinds/run/input.js'

/**
 * A horn in metres. It stands along y from the driven face (y = 0) to the tip face (y = length); its thickness is out
 * of the plane.
 */
export interface Horn {
  readonly profile: HornInput['profile']
  readonly widthM: number
  readonly lengthM: number
  readonly drivenThicknessM: number
  readonly tipThicknessM: number
}

export function hornOf(input: HornInput): Horn {
  return {
    profile: input.profile,
    widthM: input.width_mm / 1000,
    lengthM: input.height_mm / 1000,
    drivenThicknessM: input.thickness_mm / 1000,
    tipThicknessM: (input.tip_thickness_mm ?? input.thickness_mm) / 1000,
  }
}

/**
 * Mean thickness in metres of each of `rows` equal slices from the driven face to the tip. It is the mean and not the
 * value in the middle, so that every mesh has the exact mass of the horn, also where the step falls inside a slice.
 */
export function sliceThickness(horn: Horn, rows: number): Float64Array {
  const height = horn.lengthM / rows
  return Float64Array.from({ length: rows }, (_, row) => (sectionArea(horn, (row + 1) * height) - sectionArea(horn, row * height)) / height)
}

/** Area in m² of the section along the axis, ∫ t dy from the driven face up to `y`. */
function sectionArea({ profile, lengthM, drivenThicknessM: driven, tipThicknessM: tip }: Horn, y: number): number {
  const decay = Math.log(tip / driven)
  if (profile === 'stepped') return driven * Math.min(y, lengthM / 2) + tip * Math.max(0, y - lengthM / 2)
  if (profile === 'exponential' && decay !== 0) return (driven * lengthM * Math.expm1((decay * y) / lengthM)) / decay
  return driven * y
}
