import { JobTimeout } from '../../core/timeout.js'
import type { Submission } from '../../jobs/job-service.js'
import { TurnFields } from '../../protocol/turn-fields.js'
import { type Words, WordsFields } from '../../protocol/words.js'

/** Fields of a body that enqueues, beside the id and the input. */
export const SubmitFields = { job_timeout_s: JobTimeout, ...TurnFields, ...WordsFields }

/** A body that was validated with `SubmitFields`. */
export interface SubmitBody extends Words {
  readonly job_timeout_s?: number
  readonly delay_ms?: number
  readonly priority?: number
}

/** These fields for `JobService.submit`, and the rest of the body. */
export function fromBody<T extends SubmitBody>(body: T): { given: Partial<Submission>; rest: Omit<T, keyof SubmitBody> } {
  const { job_timeout_s: timeoutS, delay_ms: delayMs, priority, title, tags, metadata, ...rest } = body
  const fields = Object.entries({ timeoutS, delayMs, priority, title, tags, metadata }).filter(([, value]) => value !== undefined)
  return { given: Object.fromEntries(fields), rest }
}
