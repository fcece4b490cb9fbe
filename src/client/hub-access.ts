import { CODES, type CodeName, type Issue, RuncastError, type StoreReason } from '../protocol/codes.js'

/** A hub, and as whom it is asked. */
export interface HubAccess {
  /** `https://…` or `http://…`, with the path of a proxy where there is one. In a page it may be relative to the page. */
  readonly url: string
  /**
   * Asked for before each request and each connect, so that it may be renewed. Goes in a header or a message, never in a URL. A page that is logged in by a cookie
   * needs none.
   */
  readonly token?: string | (() => string | Promise<string>)
  /** How long a request may take, in ms; 30,000 without it. */
  readonly requestTimeoutMs?: number
}

const DEFAULT_REQUEST_TIMEOUT_MS = 30_000

/** What an answer of a hub that denies a request says, as far as it is one of this version. */
interface ErrorBody {
  readonly error?: unknown
  readonly message?: unknown
  readonly detail?: unknown
  readonly reason?: unknown
}

/** The address of the hub without a slash at the end. Throws `invalid` for one that is none. */
export function hubUrl(text: string): string {
  const { location } = globalThis as { readonly location?: { readonly href: string } }
  const url = URL.canParse(text, location?.href) ? new URL(text, location?.href) : null
  const isHub = url && /^https?:$/.test(url.protocol) && !url.username && !url.password && !url.search && !url.hash
  if (isHub) return url.href.replace(/\/+$/, '')
  const expected = 'an https:// or http:// URL without user, query and fragment'
  throw new RuncastError('invalid', { message: `url: expected ${expected}`, issues: [{ path: '/url', expected }] })
}

/** Asks a hub. Rejects with a `RuncastError`: what the hub says, or `overloaded` where it cannot be reached or does not answer in time. */
export async function callHub(
  { url, token, requestTimeoutMs = DEFAULT_REQUEST_TIMEOUT_MS }: HubAccess,
  method: 'GET' | 'POST',
  path: string,
  { body, headers }: { readonly body?: object; readonly headers?: Readonly<Record<string, string>> } = {},
): Promise<unknown> {
  const bearer = typeof token === 'function' ? await token() : token
  const request = {
    method,
    headers: {
      ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }),
      ...(body && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body && { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(requestTimeoutMs),
  }
  try {
    const response = await fetch(`${url}${path}`, request)
    // A proxy may answer instead of the hub, and in another language.
    const answer: unknown = await response.json().catch(() => null)
    if (!response.ok) throw errorOfAnswer(response, answer)
    if (typeof answer === 'object' && answer !== null) return answer
    throw new RuncastError('internal', `${url} does not answer as a hub does (${response.status}).`)
  } catch (error) {
    if (error instanceof RuncastError) throw error
    throw new RuncastError('overloaded', { message: `${url} cannot be reached: ${reasonOf(error)}`, cause: error })
  }
}

/** The error that an answer of a hub, or of a proxy before it, stands for. */
function errorOfAnswer({ status, headers }: Response, answer: unknown): RuncastError {
  const { error, message, detail, reason } = (typeof answer === 'object' && answer !== null ? answer : {}) as ErrorBody
  const isKnown = typeof error === 'string' && Object.hasOwn(CODES, error)
  const seconds = Number(headers.get('retry-after') ?? Number.NaN)
  return new RuncastError(isKnown ? (error as CodeName) : codeOfStatus(status), {
    message: typeof message === 'string' ? message : `The hub answers ${status}.`,
    issues: Array.isArray(detail) ? (detail as readonly Issue[]) : [], // as every hub answers
    ...(Number.isFinite(seconds) && { retryAfterMs: seconds * 1000 }),
    ...(typeof reason === 'string' && { reason: reason as StoreReason }), // of a later version perhaps another text
  })
}

/** For what is no answer of a hub of this version. */
function codeOfStatus(status: number): CodeName {
  const codes: Readonly<Record<number, CodeName>> = {
    401: 'unauthenticated',
    403: 'forbidden',
    404: 'no_route',
    408: 'request_timeout',
    413: 'too_big',
    422: 'invalid',
    429: 'rate_limited',
  }
  return codes[status] ?? (status >= 502 && status <= 504 ? 'overloaded' : status >= 500 ? 'internal' : 'bad_request')
}

/** `fetch` says no more than that it failed; its cause knows why. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { cause } = error
  if (cause instanceof Error) return 'code' in cause ? String(cause.code) : cause.message
  return error.message
}
