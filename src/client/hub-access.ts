import { CODES, type CodeName, type Issue, RuncastError, type StoreReason } from '../protocol/codes.js'
import type { WebSocketClass } from './hub-socket.js'
import type { SocketAccess } from './job-events.js'

/** The address of a hub, and the credentials for it. */
export interface HubAccess {
  /** `https://…` or `http://…`, with the path of a proxy if there is one. In a page it may be relative to the page. */
  readonly url: string
  /**
   * A function is called before each request and each connect, so the token may be renewed. It is sent in a header or a
   * message, never in a URL. Not needed in a page that authenticates by cookie.
   */
  readonly token?: string | (() => string | Promise<string>)
  /** Timeout of a request, in ms; default 30,000. */
  readonly requestTimeoutMs?: number
}

const DEFAULT_REQUEST_TIMEOUT_MS = 30_000

/** The body of an error response, if it comes from a hub of this version. */
interface ErrorBody {
  readonly error?: unknown
  readonly message?: unknown
  readonly detail?: unknown
  readonly reason?: unknown
}

/** The URL of the hub without a trailing slash. Throws `invalid` if it is no such URL. */
export function hubUrl(text: string): string {
  const { location } = globalThis as { readonly location?: { readonly href: string } }
  const url = URL.canParse(text, location?.href) ? new URL(text, location?.href) : null
  const isHub = url && /^https?:$/.test(url.protocol) && !url.username && !url.password && !/[?#]/.test(url.href)
  if (isHub) return url.href.replace(/\/+$/, '')
  const expected = 'an https:// or http:// URL without user, query and fragment'
  throw new RuncastError('invalid', { message: `url: expected ${expected}`, issues: [{ path: '/url', expected }] })
}

/** What sockets of the hub need. `WebSocket`: the class of `ws`, if there is no global one. */
export function socketsOf({ url, token }: HubAccess, WebSocket?: WebSocketClass): SocketAccess {
  return {
    url: (path) => `${url.replace(/^http/, 'ws')}${path}`,
    ...(token !== undefined && { token: typeof token === 'string' ? () => token : token }),
    ...(WebSocket && { WebSocket }),
  }
}

/**
 * Sends a request to a hub. Rejects with a `RuncastError`: the error of the hub, or `overloaded` if it cannot be
 * reached or does not respond in time.
 */
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
    // A proxy may respond instead of the hub, in another format.
    const answer: unknown = await response.json().catch(() => null)
    if (!response.ok) throw errorOfResponse(response, answer, `${method} ${path}`)
    if (typeof answer === 'object' && answer !== null) return answer
    throw new RuncastError('internal', `${url} returned no JSON object (status ${response.status}): is it the URL of a hub?`)
  } catch (error) {
    if (error instanceof RuncastError) throw error
    throw new RuncastError('overloaded', { message: `${url} cannot be reached: ${reasonOf(error)}`, cause: error })
  }
}

/** The error for an error response of a hub, or of a proxy in front of it. */
function errorOfResponse({ status, headers }: Response, answer: unknown, request: string): RuncastError {
  const { error, message, detail, reason } = (typeof answer === 'object' && answer !== null ? answer : {}) as ErrorBody
  const isKnown = typeof error === 'string' && Object.hasOwn(CODES, error)
  const seconds = Number(headers.get('retry-after') ?? Number.NaN)
  const code = isKnown ? (error as CodeName) : codeOfStatus(status)
  const text = typeof message === 'string' ? message : `The hub returned status ${status}.`
  return new RuncastError(code, {
    // The address of the hub may be wrong.
    message: code === 'no_route' ? `${text} (${request})` : text,
    issues: Array.isArray(detail) ? (detail as readonly Issue[]) : [], // the format of every hub
    ...(Number.isFinite(seconds) && { retryAfterMs: seconds * 1000 }),
    ...(typeof reason === 'string' && { reason: reason as StoreReason }), // a later version may send another value
  })
}

/** For responses that are not from a hub of this version. */
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

/** The error of `fetch` only says that it failed; its cause says why. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { cause } = error
  if (cause instanceof Error) return 'code' in cause ? String(cause.code) : cause.message
  return error.message
}
