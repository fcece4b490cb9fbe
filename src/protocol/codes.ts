/** The `code` of an `error` or `process_failed`. `endpoint_error`: every request to the measured endpoints failed. */
export const FAILURE_CODES = ['solver_error', 'endpoint_error', 'timeout', 'worker_lost', 'invalid_input'] as const
export type FailureCode = (typeof FAILURE_CODES)[number]

export interface Code {
  /** WebSocket close code; null if the code never ends a session. */
  readonly close: number | null
  readonly http: number
  /** Whether a client should reconnect without limit. */
  readonly reconnect: boolean
  /** Without `reconnect`: attempts in a row before a client gives up, because the cause may pass. */
  readonly retries?: number
  /** At most 123 bytes (RFC 6455, section 5.5). */
  readonly text: string
}

/** The table of codes of closes, errors and HTTP responses. Close codes are in 4000–4999 (RFC 6455, section 7.4.2). */
export const CODES = {
  done: { close: 1000, http: 200, reconnect: false, text: 'All events have been delivered.' },
  going_away: { close: 1001, http: 503, reconnect: true, text: 'The peer is going away.' },
  too_big: { close: 1009, http: 413, reconnect: false, text: 'The message exceeds the size limit of this server.' },
  internal: { close: 1011, http: 500, reconnect: true, text: 'Internal error; the server has logged it.' },
  restart: { close: 1012, http: 503, reconnect: true, text: 'This server is stopping; reconnect.' },
  overloaded: { close: 1013, http: 503, reconnect: true, text: 'This server cannot serve the request now; try again later.' },
  // A retry may use a new token.
  unauthenticated: { close: 4001, http: 401, reconnect: false, retries: 1, text: 'A valid token is required.' },
  expired: { close: 4001, http: 401, reconnect: false, retries: 1, text: 'The token has expired.' },
  idle: { close: 4002, http: 408, reconnect: true, text: 'The client sent nothing for too long.' },
  forbidden: { close: 4003, http: 403, reconnect: false, text: 'The token does not permit this.' },
  // The same number as `forbidden`: clients of every version end there.
  disconnected: { close: 4003, http: 403, reconnect: false, text: 'An admin has ended this session.' },
  // The job may be about to be submitted, or its kind is not registered on this hub yet.
  not_found: { close: 4004, http: 404, reconnect: false, retries: 3, text: 'There is no such job.' },
  no_route: { close: null, http: 404, reconnect: false, text: 'Unknown path.' },
  id_taken: { close: null, http: 409, reconnect: false, text: 'This id is in use.' },
  other_input: { close: null, http: 409, reconnect: false, text: 'A job with this id was submitted with another input.' },
  already_final: { close: null, http: 409, reconnect: false, text: 'The job has already ended.' },
  not_final: { close: null, http: 409, reconnect: false, text: 'Only a failed or cancelled job can be retried.' },
  is_part: { close: null, http: 409, reconnect: false, text: 'A child job cannot be retried; retry its parent job.' },
  is_owned: { close: null, http: 409, reconnect: false, text: 'The owner computes this job; it cannot be retried, submit it again.' },
  not_running: { close: null, http: 409, reconnect: false, text: 'Only a running job can be paused; only a paused job can be resumed.' },
  stale_writer: { close: null, http: 409, reconnect: false, text: 'Another worker has taken over the job, or the job has ended.' },
  invalid: { close: null, http: 422, reconnect: false, text: 'The request is not valid.' },
  method_not_allowed: { close: null, http: 405, reconnect: false, text: 'The path does not support this method.' },
  unsupported_type: { close: null, http: 415, reconnect: false, text: 'The content type must be application/json.' },
  request_timeout: { close: null, http: 408, reconnect: true, text: 'The request did not arrive in time.' },
  headers_too_big: { close: null, http: 431, reconnect: false, text: 'The headers exceed the size limit of this server.' },
  range: { close: null, http: 416, reconnect: false, text: 'The range is outside of the content.' },
  no_store: { close: null, http: 503, reconnect: true, text: 'Artifacts cannot be stored or read here.' },
  bad_request: { close: null, http: 400, reconnect: false, text: 'The request cannot be parsed.' },
  too_many_sockets: {
    close: 4008,
    http: 429,
    reconnect: true,
    text: 'The user has too many open sockets; close one, or reconnect later.',
  },
  quota: { close: null, http: 429, reconnect: true, text: 'The user has reached a limit of submits; try again later.' },
  rate_limited: { close: 4029, http: 429, reconnect: true, text: 'Too many requests or invalid messages; slow down.' },
} as const satisfies Record<string, Code>

export type CodeName = keyof typeof CODES

/** The codes that end a session. */
export type CloseName = { [N in CodeName]: (typeof CODES)[N]['close'] extends number ? N : never }[CodeName]

export function mayClose(name: CodeName): name is CloseName {
  return CODES[name].close !== null
}

/**
 * Why Redis cannot serve: the `reason` beside `overloaded` and of `/readyz`, with its text. Some concern one node only,
 * and some only writes.
 */
export const STORE_REASONS = {
  store_unreachable: 'Redis cannot be reached; try again later.',
  store_deaf: 'This server does not receive what Redis publishes; try again later.',
  store_full: 'Redis is out of memory and rejects writes (OOM); try again later.',
  store_not_saving: 'Redis cannot save to its disk and rejects writes (MISCONF); try again later.',
  store_lacks_replicas: 'Redis has too few replicas and rejects writes (NOREPLICAS); try again later.',
  store_read_only: 'Redis is a replica and rejects writes (READONLY); try again later.',
  store_moved: 'Redis keeps this key on another node of its cluster (MOVED); try again later.',
  store_denies: 'Redis denies this server the login or the command (NOAUTH, WRONGPASS or NOPERM); try again later.',
  store_busy: 'Redis answers, but cannot serve now (BUSY, LOADING, MASTERDOWN, CLUSTERDOWN or TRYAGAIN); try again later.',
} as const satisfies Record<`store_${string}`, string>

export type StoreReason = keyof typeof STORE_REASONS

/** A fault of one part of a request: a JSON Pointer, and what is expected. */
export interface Issue {
  readonly path: string
  readonly expected: string
}

/** Optional fields of a `RuncastError`. */
export interface ErrorDetails {
  /** Replaces the text of the code. For people; contains no secret. */
  readonly message?: string | undefined
  readonly issues?: readonly Issue[]
  /** When to try again, if known. */
  readonly retryAfterMs?: number | undefined
  /** With `overloaded`, if Redis is the cause. */
  readonly reason?: StoreReason | undefined
  /** Of the request that a hub has answered with it, as in the log of the hub. */
  readonly requestId?: string | undefined
  readonly cause?: unknown
}

/** The error of this package: a rejected request or a session that ended, with its code. */
export class RuncastError extends Error {
  override readonly name: string = 'RuncastError'
  readonly code: CodeName
  readonly issues: readonly Issue[]
  readonly retryAfterMs: number | undefined
  readonly reason: StoreReason | undefined
  /** Of the request that a hub has answered with this error, as in the log of the hub; undefined if there is none. */
  readonly requestId: string | undefined

  /** `details`: a message, or fields. */
  constructor(code: CodeName, details: string | ErrorDetails = {}) {
    const {
      message = CODES[code].text,
      issues = [],
      retryAfterMs,
      reason,
      requestId,
      ...options
    } = typeof details === 'string' ? { message: details } : details
    super(message, options)
    this.code = code
    this.issues = issues
    this.retryAfterMs = retryAfterMs
    this.reason = reason
    this.requestId = requestId
  }

  /** The HTTP status of the code. */
  get status(): number {
    return CODES[this.code].http
  }

  /** @deprecated The same as `issues`. */
  get detail(): readonly Issue[] {
    return this.issues
  }
}

/** Whether the store is unavailable or rejects requests, so that a retry may succeed. Other errors are faults. */
export function isOverloaded(error: unknown): boolean {
  return error instanceof RuncastError && error.code === 'overloaded'
}
