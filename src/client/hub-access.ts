import { invalidOption } from '../core/known-options.js'
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
  /** Timeout of a request, in ms: above 0, at most 2^31 - 1; default 30,000. */
  readonly requestTimeoutMs?: number
}

const DEFAULT_REQUEST_TIMEOUT_MS = 30_000

/** The body of an error response, if it comes from a hub of this version. */
interface ErrorBody {
  readonly error?: unknown
  readonly message?: unknown
  readonly detail?: unknown
  readonly reason?: unknown
  readonly request_id?: unknown
}

/** The URL of the hub without a trailing slash. Throws `invalid` if it is no such URL. */
export function hubUrl(text: string): string {
  const { location } = globalThis as { readonly location?: { readonly href: string } }
  const url = URL.canParse(text, location?.href) ? new URL(text, location?.href) : null
  const isHub = url && /^https?:$/.test(url.protocol) && !url.username && !url.password && !/[?#]/.test(url.href)
  if (isHub) return url.href.replace(/\/+$/, '')
  throw invalidOption('url', 'an https:// or http:// URL without user, query and fragment')
}

/** What sockets of the hub need. `WebSocket`: the class of `ws`, if there is no global one. */
export function socketsOf({ url, token }: HubAccess, WebSocket?: WebSocketClass): SocketAccess {
  return {
    url: (path) => `${url.replace(/^http/, 'ws')}${path}`,
    ...(token !== undefined && { token: typeof token === 'string' ? () => token : token }),
    ...(WebSocket && { WebSocket }),
  }
}

/** What a request may have. */
export interface HubRequest {
  readonly body?: object
  readonly headers?: Readonly<Record<string, string>>
  /** Whether a response has the form of every hub's. */
  readonly isAnswer?: (answer: Readonly<Record<string, unknown>>) => boolean
  /** Aborts the request. */
  readonly stop?: AbortController
}

/**
 * Sends a request to a hub. Rejects with a `RuncastError`: the error of the hub, `overloaded` if it cannot be reached
 * or does not respond in time, `internal` if something else responds, and `invalid` for a token that no header can
 * carry. Redirects are not followed: they would pass on the token or the input, or turn a submit into a read.
 */
export async function callHub(
  { url, token, requestTimeoutMs = DEFAULT_REQUEST_TIMEOUT_MS }: HubAccess,
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
  path: string,
  { body, headers, isAnswer = () => true, stop = new AbortController() }: HubRequest = {},
): Promise<unknown> {
  const bearer = typeof token === 'function' ? await token() : token
  if (bearer !== undefined) assertToken(bearer)
  const request = {
    method,
    headers: {
      ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }),
      ...(body && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body && { body: JSON.stringify(body) }),
    redirect: 'manual' as const,
    signal: stop.signal,
  }
  const timer = setTimeout(() => stop.abort(new Error(`no response within ${requestTimeoutMs} ms`)), requestTimeoutMs)
  try {
    const response = await fetch(`${url}${path}`, request)
    const answer = jsonOf(await response.text())
    // In a browser the status of a redirect is hidden.
    if (response.type === 'opaqueredirect' || (response.status >= 300 && response.status < 400))
      throw new RuncastError('internal', {
        message: `${url} redirects to another address: pass that address as url`,
        cause: response.status,
      })
    if (!response.ok) throw errorOfResponse(response, answer, `${method} ${url}${path}`)
    if (answer && isAnswer(answer)) return answer
    throw new RuncastError('internal', {
      message: `${url} returned no answer of a hub (status ${response.status}): is it the URL of a hub?`,
      cause: response.status,
    })
  } catch (error) {
    if (error instanceof RuncastError) throw error
    throw new RuncastError('overloaded', { message: `${url} cannot be reached: ${reasonOf(error)}${originHint(url)}`, cause: error })
  } finally {
    clearTimeout(timer)
  }
}

/** A browser does not tell a page of another origin whether the hub is away or has rejected its origin. */
function originHint(url: string): string {
  const { location } = globalThis as { readonly location?: { readonly origin: string } }
  if (!location || new URL(url).origin === location.origin) return ''
  return `; if the hub runs, its ALLOWED_ORIGINS may not list ${location.origin}`
}

/**
 * Requests content of a hub. Resolves with the response once its headers are there; its body has no time limit. A hub
 * may redirect to a store of artifacts, which does not get the token. Rejects as `callHub`.
 */
export async function openHub(
  { url, token, requestTimeoutMs = DEFAULT_REQUEST_TIMEOUT_MS }: HubAccess,
  path: string,
  headers: Readonly<Record<string, string>>,
  signal?: AbortSignal,
): Promise<Response> {
  const bearer = typeof token === 'function' ? await token() : token
  if (bearer !== undefined) assertToken(bearer)
  const stop = new AbortController()
  const abort = () => stop.abort(signal?.reason)
  signal?.addEventListener('abort', abort)
  const timer = setTimeout(() => stop.abort(new Error(`no response within ${requestTimeoutMs} ms`)), requestTimeoutMs)
  try {
    signal?.throwIfAborted()
    const response = await fetch(`${url}${path}`, {
      headers: { ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }), ...headers },
      signal: stop.signal,
    })
    if (response.ok) return response
    throw errorOfResponse(response, jsonOf(await response.text()), `GET ${path}`)
  } catch (error) {
    signal?.throwIfAborted()
    if (error instanceof RuncastError) throw error
    throw new RuncastError('overloaded', { message: `${url} cannot be reached: ${reasonOf(error)}`, cause: error })
  } finally {
    clearTimeout(timer)
  }
}

/** Throws `invalid` for any text that is not a token (RFC 6750). The error of `fetch` would contain the token. */
export function assertToken(token: unknown): void {
  if (typeof token === 'string' && /^[!-~]+$/.test(token)) return
  throw invalidOption('token', 'a token of visible ASCII characters, or a function that returns one')
}

/** Null if the text is not a JSON object: a proxy may respond instead of the hub, in another format. */
function jsonOf(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : null
  } catch {
    return null
  }
}

/** The error for an error response of a hub, or of a proxy in front of it. */
function errorOfResponse({ status, headers }: Response, answer: ErrorBody | null, request: string): RuncastError {
  const { error, message, detail, reason, request_id: requestId } = answer ?? {}
  const isKnown = typeof error === 'string' && Object.hasOwn(CODES, error)
  const seconds = Number(headers.get('retry-after') ?? Number.NaN)
  const code = isKnown ? (error as CodeName) : codeOfStatus(status)
  const text = typeof message === 'string' ? message : `The hub returned status ${status}.`
  return new RuncastError(code, {
    message: code === 'no_route' ? `${text} (${request}): is url that of a hub?` : text,
    issues: Array.isArray(detail) ? (detail as readonly Issue[]) : [], // the format of every hub
    ...(seconds >= 0 && { retryAfterMs: seconds * 1000 }),
    ...(typeof reason === 'string' && { reason: reason as StoreReason }), // a later version may send another value
    ...(typeof requestId === 'string' && { requestId }),
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
