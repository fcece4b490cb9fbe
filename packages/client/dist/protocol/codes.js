/** Why a job failed: the `code` of an `error` or `process_failed`. `endpoint_error`: not one request of a benchmark succeeded. */
export const FAILURE_CODES = ['solver_error', 'endpoint_error', 'timeout', 'worker_lost', 'invalid_input'];
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
};
export function mayClose(name) {
    return CODES[name].close !== null;
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
};
/** THE error of this package: a request that is denied, or a session that ends, with a code of the table. */
export class RuncastError extends Error {
    name = 'RuncastError';
    code;
    issues;
    retryAfterMs;
    reason;
    /** `details`: a message alone, or several of its fields. */
    constructor(code, details = {}) {
        const { message = CODES[code].text, issues = [], retryAfterMs, reason, ...options } = typeof details === 'string' ? { message: details } : details;
        super(message, options);
        this.code = code;
        this.issues = issues;
        this.retryAfterMs = retryAfterMs;
        this.reason = reason;
    }
    /** The HTTP status of the code. */
    get status() {
        return CODES[this.code].http;
    }
    /** @deprecated The same as `issues`. */
    get detail() {
        return this.issues;
    }
}
/** Whether an error says that the store is away or refuses, so that the same may be asked again. Any other is a fault of a program. */
export function isOverloaded(error) {
    return error instanceof RuncastError && error.code === 'overloaded';
}
