/** Why a job failed: the `code` of an `error` or `process_failed`. `endpoint_error`: not one request to an endpoint that was to be measured succeeded. */
export const FAILURE_CODES = ['solver_error', 'endpoint_error', 'timeout', 'worker_lost', 'invalid_input'] as const
export type FailureCode = (typeof FAILURE_CODES)[number]

export interface Code {
  /** WebSocket close code; null for a reason that never ends a session. */
  readonly close: number | null
  readonly http: number
  /** Whether a client may try again by itself, for as long as it takes. */
  readonly reconnect: boolean
  /** Where it may not: how often a client should try in a row before it gives up, since the cause can pass. */
  readonly retries?: number
  /** At most 123 bytes (RFC 6455, section 5.5). */
  readonly text: string
}

/**
 * THE table of reasons, for closes, refusals and HTTP errors alike. Application close codes lie in 4000–4999 (RFC 6455, section 7.4.2).
 */
export const CODES = {
  done: { close: 1000, http: 200, reconnect: false, text: 'Everything has been told.' },
  going_away: { close: 1001, http: 503, reconnect: true, text: 'The other side is going away.' },
  too_big: { close: 1009, http: 413, reconnect: false, text: 'The message is larger than this server accepts.' },
  internal: { close: 1011, http: 500, reconnect: true, text: 'Something failed on this server; it has been logged.' },
  restart: { close: 1012, http: 503, reconnect: true, text: 'This server is stopping; connect again.' },
  overloaded: { close: 1013, http: 503, reconnect: true, text: 'This server cannot serve the job right now; try again later.' },
  // A new token may be a good one.
  unauthenticated: { close: 4001, http: 401, reconnect: false, retries: 1, text: 'A valid token is needed.' },
  expired: { close: 4001, http: 401, reconnect: false, retries: 1, text: 'The token has expired.' },
  idle: { close: 4002, http: 408, reconnect: true, text: 'Nothing was heard from this client for too long.' },
  forbidden: { close: 4003, http: 403, reconnect: false, text: 'This token does not allow that.' },
  // A job that is just being submitted, or whose kind this hub does not know yet.
  not_found: { close: 4004, http: 404, reconnect: false, retries: 3, text: 'There is no such job.' },
  no_route: { close: null, http: 404, reconnect: false, text: 'There is nothing at this address.' },
  id_taken: { close: null, http: 409, reconnect: false, text: 'This id is in use.' },
  other_input: { close: null, http: 409, reconnect: false, text: 'A job with this id was submitted with another input.' },
  already_final: { close: null, http: 409, reconnect: false, text: 'The job has ended already.' },
  not_final: { close: null, http: 409, reconnect: false, text: 'The job has not ended, or has completed: there is nothing to retry.' },
  is_part: {
    close: null,
    http: 409,
    reconnect: false,
    text: 'This job is a part of another one, which alone decides whether it runs again.',
  },
  not_running: { close: null, http: 409, reconnect: false, text: 'The job cannot be paused or go on: it is not running, or not paused.' },
  stale_writer: { close: null, http: 409, reconnect: false, text: 'This job has another worker by now, or is over.' },
  invalid: { close: null, http: 422, reconnect: false, text: 'The request is not valid.' },
  method_not_allowed: { close: null, http: 405, reconnect: false, text: 'This address is not for this method.' },
  unsupported_type: { close: null, http: 415, reconnect: false, text: 'The body has another content type than application/json.' },
  request_timeout: { close: null, http: 408, reconnect: true, text: 'The request did not arrive in time.' },
  headers_too_big: { close: null, http: 431, reconnect: false, text: 'The headers of the request are larger than this server accepts.' },
  bad_request: { close: null, http: 400, reconnect: false, text: 'The request cannot be read.' },
  too_many_sockets: {
    close: 4008,
    http: 429,
    reconnect: true,
    text: 'This user has too many sockets open; close one, or connect again later.',
  },
  quota: { close: null, http: 429, reconnect: true, text: 'This user has submitted as much as is allowed for now; come again later.' },
  rate_limited: { close: 4029, http: 429, reconnect: true, text: 'Too many requests or invalid messages; slow down.' },
} as const satisfies Record<string, Code>

export type CodeName = keyof typeof CODES

/** The reasons that end a session. */
export type CloseName = { [N in CodeName]: (typeof CODES)[N]['close'] extends number ? N : never }[CodeName]

export function mayClose(name: CodeName): name is CloseName {
  return CODES[name].close !== null
}

/**
 * Why Redis cannot serve: the `reason` beside `overloaded`, and of `/readyz`, with its text. It is away, or it answers and refuses: some refuse on this node
 * alone, and some refuse everybody's writes while reads go on.
 */
export const STORE_REASONS = {
  store_unreachable: 'Redis cannot be reached; try again later.',
  store_deaf: 'This server does not receive what Redis publishes; try again later.',
  store_full: 'Redis is out of memory and takes no writes (OOM); try again later.',
  store_not_saving: 'Redis cannot save to its disk and takes no writes (MISCONF); try again later.',
  store_lacks_replicas: 'Redis has too few replicas and takes no writes (NOREPLICAS); try again later.',
  store_read_only: 'Redis is a replica and takes no writes (READONLY); try again later.',
  store_moved: 'Redis keeps this key on another node of its cluster (MOVED); try again later.',
  store_denies: 'Redis does not let this server do that (NOPERM); try again later.',
  store_busy: 'Redis answers, but cannot serve now (BUSY, LOADING, MASTERDOWN, CLUSTERDOWN or TRYAGAIN); try again later.',
} as const satisfies Record<`store_${string}`, string>

export type StoreReason = keyof typeof STORE_REASONS

/** What is wrong with one part of a request: a JSON pointer, and what is expected there. */
export interface Issue {
  readonly path: string
  readonly expected: string
}

/** What an error says beside its code. */
export interface ErrorDetails {
  /** Instead of the text of the code. For people; it carries no secret. */
  readonly message?: string | undefined
  readonly issues?: readonly Issue[]
  /** When to try again, where that is known. */
  readonly retryAfterMs?: number | undefined
  /** Of `overloaded`, where Redis is the cause. */
  readonly reason?: StoreReason | undefined
  readonly cause?: unknown
}

/** THE error of this package: a request that is denied, or a session that ends, with a code of the table. */
export class RuncastError extends Error {
  override readonly name: string = 'RuncastError'
  readonly code: CodeName
  readonly issues: readonly Issue[]
  readonly retryAfterMs: number | undefined
  readonly reason: StoreReason | undefined

  /** `details`: a message alone, or several of its fields. */
  constructor(code: CodeName, details: string | ErrorDetails = {}) {
    const {
      message = CODES[code].text,
      issues = [],
      retryAfterMs,
      reason,
      ...options
    } = typeof details === 'string' ? { message: details } : details
    super(message, options)
    this.code = code
    this.issues = issues
    this.retryAfterMs = retryAfterMs
    this.reason = reason
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

/** Whether an error says that the store is away or refuses, so that the same may be asked again. Any other is a fault of a program. */
export function isOverloaded(error: unknown): boolean {
  return error instanceof RuncastError && error.code === 'overloaded'
}
