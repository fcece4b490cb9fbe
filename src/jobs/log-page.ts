import type { LogLine } from '../protocol/log-messages.js'
import { isFinal } from '../protocol/status.js'
import type { LinesPage } from '../storage/telemetry.js'

/** Lines of a page, unless the client asks for another number. */
export const DEFAULT_LINES = 200
/** Maximum bytes of the lines of a page, as JSON. */
export const MAX_LOG_PAGE_BYTES = 1024 * 1024

/** A page of the log as it is answered, without the id of the job. */
export function logPageOf({ epoch, oldest, last, first, lines: stored, status }: LinesPage) {
  const lines = stored.map((line) => JSON.parse(line.toString()) as LogLine) // as they were written
  const next_before = lines.length > 0 && first > oldest ? first : null
  return { epoch, oldest, last, first, lines, next_before, complete: isFinal(status) }
}
