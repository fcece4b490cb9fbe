import { bucketsOf } from '../core/series.js'
import type { Telemetry } from '../core/telemetry.js'

/** Counters of the telemetry that this process has written. */
export class TelemetryTally {
  lines = 0
  /** Lines that were left out, because the limits of the log would drop them at once. */
  skippedLines = 0
  points = 0
  /** Writes that were rejected, because a metric more would have a curve than `MAX_SERIES` allows. */
  rejectedSeries = 0

  written(telemetry: readonly Telemetry[]): void {
    for (const report of telemetry) {
      if (report.reducer === 'series') for (const bucket of bucketsOf(report.bytes)) this.points += bucket[6]
      else {
        this.lines += report.lines.length
        this.skippedLines += report.skipped
      }
    }
  }
}
