import type { Kinds } from '../core/kind.js'

/** A job to submit. */
export interface Submission {
  readonly kind: string
  readonly input: Readonly<Record<string, unknown>>
  readonly id?: string
  readonly solver?: string
  readonly timeoutS?: number
  readonly delayMs?: number
  readonly priority?: number
  readonly title?: string
  readonly tags?: readonly string[]
  readonly metadata?: object
}

/**
 * The path and body to submit a job. An unknown kind is assumed to use the process dialect: the hub decides whether it
 * exists.
 */
export function requestFor(
  { kind: name, input, id, solver, timeoutS, delayMs, ...rest }: Submission,
  kinds: Kinds,
): { path: string; body: object } {
  const { path = null, idField = 'process_id', submission = null } = kinds.find(name) ?? {}
  const named = {
    ...(id !== undefined && { [idField]: id }),
    ...(timeoutS !== undefined && { job_timeout_s: timeoutS }),
    ...(solver !== undefined && { solver }),
    ...(delayMs !== undefined && { delay_ms: delayMs }),
    ...rest,
  }
  if (submission) return { path: submission.path, body: submission.isFlat ? { ...input, ...named } : { ...named, input } }
  if (path !== null) return { path: `/api/v2/${path}`, body: { ...named, input } }
  return { path: '/api/processes', body: { process_type: name, ...named, input } }
}
