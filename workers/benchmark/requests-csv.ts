import type { RequestFailed, RequestOk } from '../../src/kinds/benchmark/result.js'

const COLUMNS = [
  'model',
  'context_tier',
  'run',
  'status',
  'ttft_ms',
  'e2e_ms',
  'tpot_ms',
  'output_tokens',
  'prompt_tokens',
  'output_tokens_per_s',
  'is_estimated',
  'finish_reason',
  'cost',
  'code',
  'elapsed_ms',
] as const

/** The measured requests as CSV, one per line. A field that a request does not have is empty. */
export function requestsCsv(requests: readonly (RequestOk | RequestFailed)[]): string {
  const rows = requests.map((request) => {
    const fields: Readonly<Record<string, unknown>> = { ...request }
    return COLUMNS.map((column) => fieldOf(fields[column])).join()
  })
  return `${[COLUMNS.join(), ...rows].join('\n')}\n`
}

/** RFC 4180. */
function fieldOf(value: unknown): string {
  const text = value === undefined || value === null ? '' : String(value)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
