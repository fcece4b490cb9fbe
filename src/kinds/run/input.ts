import Type, { type Static } from 'typebox'
import { ABSENT } from '../../protocol/faults.js'

/** The built-in solver of runs. */
export const BUILT_IN_SOLVER = 'horn-2d'

/** Materials of the built-in solver; `workers/solver` has their constants. */
export const HORN_MATERIALS = ['ti-6al-4v', 'al-7075-t6', 'steel-d2'] as const
export const HORN_PROFILES = ['uniform', 'stepped', 'exponential'] as const

const mm = (description: string) => Type.Number({ minimum: 0.1, maximum: 1000, description: `${description}, in mm` })

/**
 * Input of a `horn-2d` run: an ultrasonic horn, free at both ends, in 2-D plane stress. Lengths in mm, frequencies in
 * Hz.
 */
export const HornInput = Type.Object(
  {
    material: Type.Enum([...HORN_MATERIALS]),
    profile: Type.Enum([...HORN_PROFILES]),
    width_mm: mm('width, across the direction of vibration'),
    height_mm: mm('length, along the direction of vibration'),
    thickness_mm: mm('thickness at the driven face'),
    tip_thickness_mm: Type.Optional(mm('thickness at the tip; for the profiles stepped and exponential')),
    target_frequency_hz: Type.Number({
      minimum: 1000,
      maximum: 200_000,
      default: 20_000,
      description: 'target frequency, in Hz',
    }),
    amplitude_um: Type.Number({ minimum: 0.01, maximum: 1000, default: 20, description: 'mean displacement of the tip face, in µm' }),
    mesh: Type.Object(
      {
        elements_x: Type.Integer({ minimum: 2, maximum: 32, default: 8, description: 'elements across the horn' }),
        elements_y: Type.Integer({ minimum: 8, maximum: 160, default: 40, description: 'elements along the horn' }),
      },
      { additionalProperties: false, default: {} },
    ),
    sweep: Type.Object(
      {
        points: Type.Integer({ minimum: 3, maximum: 401, default: 21, description: 'number of frequencies in the sweep' }),
        span_pct: Type.Number({
          minimum: 0.1,
          maximum: 20,
          default: 5,
          description: 'half width of the sweep around the natural frequency, in %',
        }),
      },
      { additionalProperties: false, default: {} },
    ),
  },
  {
    additionalProperties: false,
    examples: [{ material: 'ti-6al-4v', profile: 'uniform', width_mm: 25, height_mm: 126.71, thickness_mm: 25 }],
  },
)
export type HornInput = Static<typeof HornInput>

/** Faults that the schema cannot express. */
export function hornInputFaults(input: HornInput): { path: string; expected: string }[] {
  const tapered = input.profile !== 'uniform'
  if (tapered && input.tip_thickness_mm === undefined)
    return [{ path: '/input/tip_thickness_mm', expected: `a number: required for the profile ${input.profile}` }]
  if (!tapered && input.tip_thickness_mm !== undefined && input.tip_thickness_mm !== input.thickness_mm)
    return [{ path: '/input/tip_thickness_mm', expected: `${ABSENT}, or equal to thickness_mm, for the profile uniform` }]
  return []
}
