import type { Problem } from '../../workers/optimization/problem.js'

/** A published problem with a known front in closed form. */
export interface KnownProblem {
  readonly name: string
  readonly problem: Problem
  readonly population: number
  readonly generations: number
  readonly evaluate: (x: readonly number[]) => Record<string, number>
  /** Objectives along the front; the parameter runs from 0 to 1. */
  readonly front: (share: number) => readonly [number, number]
  /** Reference point: worse in both objectives than every point of the front. */
  readonly reference: readonly [number, number]
}

const OBJECTIVES = ['f1', 'f2'].map((metric) => ({ metric, direction: 'minimize' as const }))

/**
 * Zitzler, Deb and Thiele 2000: 30 variables; the front is convex, with all variables but the first at their lower
 * bound.
 */
const ZDT1: KnownProblem = {
  name: 'ZDT1',
  problem: {
    variables: Array.from({ length: 30 }, (_, i) => ({ name: `x${i + 1}`, min: 0, max: 1 })),
    objectives: OBJECTIVES,
    constraints: [],
  },
  population: 100,
  generations: 250,
  evaluate: ([x1 = 0, ...others]) => {
    const g = 1 + (9 * others.reduce((sum, x) => sum + x, 0)) / others.length
    return { f1: x1, f2: g * (1 - Math.sqrt(x1 / g)) }
  },
  front: (share) => [share, 1 - Math.sqrt(share)],
  reference: [1.1, 1.1],
}

const bnh = (x1: number, x2: number) => ({ f1: 4 * x1 ** 2 + 4 * x2 ** 2, f2: (x1 - 5) ** 2 + (x2 - 5) ** 2 })

/** Binh and Korn 1997: the front bends where the second variable reaches its bound. */
const BNH: KnownProblem = {
  name: 'BNH',
  problem: {
    variables: [
      { name: 'x1', min: 0, max: 5 },
      { name: 'x2', min: 0, max: 3 },
    ],
    objectives: OBJECTIVES,
    constraints: [
      { metric: 'c1', operator: '<=', value: 25 },
      { metric: 'c2', operator: '>=', value: 7.7 },
    ],
  },
  population: 100,
  generations: 100,
  evaluate: ([x1 = 0, x2 = 0]) => ({ ...bnh(x1, x2), c1: (x1 - 5) ** 2 + x2 ** 2, c2: (x1 - 8) ** 2 + (x2 + 3) ** 2 }),
  front: (share) => {
    const { f1, f2 } = bnh(5 * share, Math.min(5 * share, 3))
    return [f1, f2]
  },
  reference: [150, 55],
}

const srn = (x1: number, x2: number) => ({ f1: 2 + (x1 - 2) ** 2 + (x2 - 1) ** 2, f2: 9 * x1 - (x2 - 1) ** 2 })

/**
 * Angle at which f2 is minimal on the circle x1² + x2² = 225, one end of the front. Newton's method on the derivative.
 */
function endOnCircle(): number {
  let angle = Math.PI / 2
  for (let i = 0; i < 50; i++) {
    const [sin, cos] = [Math.sin(angle), Math.cos(angle)]
    const slope = -135 * sin - 30 * (15 * sin - 1) * cos
    const curvature = -135 * cos - 450 * cos ** 2 + 30 * (15 * sin - 1) * sin
    angle -= slope / curvature
  }
  return angle
}

/**
 * The front has three segments: x1 = −2.5 between the constraints, where the gradients are opposite (the only one
 * usually named), x1 − 3 x2 = −10 up to the minimum of f1 at x1 = 1.1, and the circle up to the minimum of f2.
 */
function srnFront(share: number): readonly [number, number] {
  const top = Math.sqrt(225 - 2.5 ** 2)
  const piece = Math.min(Math.floor(3 * share), 2)
  const part = 3 * share - piece
  const angles = [Math.atan2(top, -2.5), endOnCircle()] as const
  const angle = angles[0] + part * (angles[1] - angles[0])
  const onLine = 1.1 - 3.6 * part
  const pieces = [
    srn(onLine, (onLine + 10) / 3),
    srn(-2.5, 2.5 + part * (top - 2.5)),
    srn(15 * Math.cos(angle), 15 * Math.sin(angle)),
  ] as const
  const { f1, f2 } = pieces[piece] ?? pieces[2]
  return [f1, f2]
}

/** Srinivas and Deb 1994: both constraints bound the front and leave a small feasible region. */
const SRN: KnownProblem = {
  name: 'SRN',
  problem: {
    variables: ['x1', 'x2'].map((name) => ({ name, min: -20, max: 20 })),
    objectives: OBJECTIVES,
    constraints: [
      { metric: 'c1', operator: '<=', value: 225 },
      { metric: 'c2', operator: '<=', value: -10 },
    ],
  },
  population: 100,
  generations: 100,
  evaluate: ([x1 = 0, x2 = 0]) => ({ ...srn(x1, x2), c1: x1 ** 2 + x2 ** 2, c2: x1 - 3 * x2 }),
  front: srnFront,
  reference: [245, 25],
}

/** One problem without and two with constraints. */
export const KNOWN_PROBLEMS: readonly KnownProblem[] = [ZDT1, BNH, SRN]
