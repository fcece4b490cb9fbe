import { isComputedKind, isKindName, isRunKind, KINDS } from '../core/kinds.js'

/** What is submitted. */
export interface Submission {
  readonly kind: string
  readonly input: Readonly<Record<string, unknown>>
  readonly id?: string
  readonly solver?: string
  readonly timeoutS?: number
}

/** Where a job of a kind is submitted, and as what. A kind that is not known here is taken for one in the process dialect: the hub says whether it knows it. */
export function requestFor({ kind, input, id, solver, timeoutS }: Submission): { path: string; body: object } {
  const common = { ...(timeoutS !== undefined && { job_timeout_s: timeoutS }), ...(solver !== undefined && { solver }) }
  if (isKindName(kind) && isRunKind(kind)) {
    const { path, idField } = KINDS[kind]
    const named = { ...(id !== undefined && { [idField]: id }), ...common }
    return { path: `/api/v2/${path}`, body: isComputedKind(kind) ? { ...named, input } : { ...input, ...named } }
  }
  const named = { ...(id !== undefined && { process_id: id }), ...common }
  if (kind === 'benchmark') return { path: '/api/benchmark', body: { ...input, ...named } }
  return { path: '/api/processes', body: { process_type: kind, ...named, input } }
}
