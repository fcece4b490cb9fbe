import { rejectUnknownOptions } from '../core/known-options.js'
import { RuncastError } from '../protocol/codes.js'
import type { Status } from '../protocol/status.js'
import { type Backend, Client, type JobAction, type ListOptions, type WireSubmission } from './client.js'
import { FinalWatch, type RunningJob } from './final-watch.js'
import { callHub, type HubAccess, hubUrl, socketsOf } from './hub-access.js'
import type { WebSocketClass } from './hub-socket.js'
import type { SocketAccess } from './job-events.js'
import type { WireJob } from './job-info.js'

export interface HubClientOptions extends HubAccess {
  /** The class of `ws`, if there is no global one (Node before 22). */
  readonly WebSocket?: WebSocketClass
}

const OPTIONS = ['url', 'token', 'requestTimeoutMs', 'WebSocket'] as const satisfies readonly (keyof HubClientOptions)[]

/**
 * Creates a client of a hub, for Node and browsers; see `Client`. Throws `invalid` for an invalid URL and unknown
 * options. Connects on first use.
 */
export function createClient(options: HubClientOptions): Client {
  return clientOfHub(options, async () => options.WebSocket)
}

/** The same with a WebSocket class that is loaded on demand. */
export function clientOfHub(options: HubClientOptions, loadWebSocket: () => Promise<WebSocketClass | undefined>): Client {
  rejectUnknownOptions(options, OPTIONS)
  const { token } = options
  if (token !== undefined && typeof token !== 'function' && (typeof token !== 'string' || token === ''))
    throw new RuncastError('invalid', {
      message: 'token: expected a non-empty string, or a function that returns one',
      issues: [{ path: '/token', expected: 'a non-empty string, or a function that returns one' }],
    })
  return new Client(new HubBackend({ ...options, url: hubUrl(options.url) }, loadWebSocket))
}

/** The backend on a hub, over HTTP and WebSocket. */
class HubBackend implements Backend {
  readonly #hub: HubAccess
  readonly #loadWebSocket: () => Promise<WebSocketClass | undefined>
  #finals: FinalWatch | undefined

  constructor(hub: HubAccess, loadWebSocket: () => Promise<WebSocketClass | undefined>) {
    this.#hub = hub
    this.#loadWebSocket = loadWebSocket
  }

  async submit({ idempotencyKey, timeoutS, ...given }: WireSubmission): Promise<{ readonly id: string }> {
    const body = { ...given, ...(timeoutS !== undefined && { job_timeout_s: timeoutS }) }
    const headers = idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }
    // the response to a submit
    return (await callHub(this.#hub, 'POST', '/api/jobs', { body, headers })) as { id: string }
  }

  async read(id: string): Promise<WireJob> {
    return (await callHub(this.#hub, 'GET', pathOf(id))) as WireJob // the representation of a job
  }

  async list(query: Omit<ListOptions, 'kind'> & { readonly kind?: string }): Promise<{ jobs: readonly WireJob[]; cursor: string | null }> {
    const given = Object.entries(query).flatMap(([name, value]): [string, string][] => (value === undefined ? [] : [[name, String(value)]]))
    const page = await callHub(this.#hub, 'GET', `/api/jobs?${new URLSearchParams(given)}`)
    return page as { jobs: readonly WireJob[]; cursor: string | null } // the response to a list
  }

  async act(id: string, action: JobAction): Promise<{ readonly status: Status }> {
    // the response to an action
    return (await callHub(this.#hub, 'POST', `${pathOf(id)}/${action}`)) as { status: Status }
  }

  async sockets(): Promise<SocketAccess> {
    return socketsOf(this.#hub, await this.#loadWebSocket())
  }

  async ended(job: RunningJob, signal?: AbortSignal): Promise<void> {
    const access = await this.sockets()
    this.#finals ??= new FinalWatch(access)
    return this.#finals.ended(job, signal)
  }

  async close(reason: RuncastError): Promise<void> {
    this.#finals?.close(reason)
  }
}

/** Throws `not_found` for an id with lone surrogates: it cannot be sent, and no job has such an id. */
function pathOf(id: string): string {
  try {
    return `/api/jobs/${encodeURIComponent(id)}`
  } catch (cause) {
    throw new RuncastError('not_found', { cause })
  }
}
