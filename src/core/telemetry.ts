import type { LogLine } from '../protocol/log-messages.js'
import { lineJson } from './log-line.js'
import type { SeriesTelemetry } from './series-telemetry.js'

/**
 * What a job reports beside its entries. It takes no `seq`. Each kind of it has a reducer, which adds it to what is
 * stored.
 */
export type Telemetry = AppendTelemetry | SeriesTelemetry

/** Log lines. */
export interface AppendTelemetry {
  readonly reducer: 'append'
  /** How many lines before these were left out, because the limits of the log would drop them at once. */
  readonly skipped: number
  /** The JSON of a `LogLine` each. */
  readonly lines: readonly string[]
}

/** Lines as one report, after so many that were left out; none for no lines. */
export function appended(lines: readonly LogLine[], skipped: number): readonly Telemetry[] {
  return lines.length === 0 ? [] : [{ reducer: 'append', skipped, lines: lines.map(lineJson) }]
}
