import { table } from '../report.js'

/** A numerical result and its bound. */
export interface Figure {
  readonly what: string
  readonly figure: string
  readonly bound: string
  readonly holds: boolean
}

/** The figures as lines with their bounds. Those that exceed them are marked. */
export function figureTable(figures: readonly Figure[]): string {
  return table([
    ['', 'figure', 'bound', ''],
    ...figures.map(({ what, figure, bound, holds }) => [what, figure, bound, holds ? 'holds' : 'DOES NOT HOLD']),
  ])
}
