import { table } from '../report.js'

/** A result of the numerics beside what it has to keep to. */
export interface Figure {
  readonly what: string
  readonly figure: string
  readonly bound: string
  readonly holds: boolean
}

/** The figures as lines, each beside its bound, those that do not hold marked. */
export function figureTable(figures: readonly Figure[]): string {
  return table([
    ['', 'figure', 'bound', ''],
    ...figures.map(({ what, figure, bound, holds }) => [what, figure, bound, holds ? 'holds' : 'DOES NOT HOLD']),
  ])
}
