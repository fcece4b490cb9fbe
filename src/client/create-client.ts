import { invalidOption, rejectUnknownOptions } from '../core/known-options.js'
import type { Artifact } from '../protocol/artifact.js'
import { RuncastError } from '../protocol/codes.js'
import type { Status } from '../protocol/status.js'
import {
  type Backend,
  Client,
  type JobAction,
  type ListOptions,
  type LogPageOptions,
  type WireCurve,
  type WireLogPage,
  type WireSeries,
  type WireSubmission,
  type WordsUpdate,
} from './client.js'
import { downloadFrom, type JobArtifact, jobArtifactOf } from './download.js'
import { FinalWatch, type RunningJob } from './final-watch.js'
import { assertToken, callHub, type HubAccess, type HubRequest, hubUrl, socketsOf } from './hub-access.js'
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
  const { token, requestTimeoutMs = 1 } = options
  if (token !== undefined && typeof token !== 'function') assertToken(token)
  if (!(requestTimeoutMs > 0 && requestTimeoutMs < 2 ** 31)) throw invalidOption('requestTimeoutMs', 'ms above 0, at most 2^31 - 1')
  return new Client(new HubBackend({ ...options, url: hubUrl(options.url) }, loadWebSocket))
}

/** The backend on a hub, over HTTP and WebSocket. */
class HubBackend implements Backend {
  readonly #hub: HubAccess
  readonly #loadWebSocket: () => Promise<WebSocketClass | undefined>
  readonly #requests = new Set<AbortController>()
  #finals: FinalWatch | undefined
  #closed: RuncastError | undefined

  constructor(hub: HubAccess, loadWebSocket: () => Promise<WebSocketClass | undefined>) {
    this.#hub = hub
    this.#loadWebSocket = loadWebSocket
  }

  async submit({ idempotencyKey, timeoutS, delayMs, traceparent, ...given }: WireSubmission): Promise<{ readonly id: string }> {
    const body = {
      ...given,
      ...(timeoutS !== undefined && { job_timeout_s: timeoutS }),
      ...(delayMs !== undefined && { delay_ms: delayMs }),
    }
    const key = idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }
    const headers = { ...key, ...(traceparent !== undefined && { traceparent }) }
    return this.#call('POST', '/api/jobs', { body, headers, isAnswer: ({ id }) => typeof id === 'string' })
  }

  async read(id: string): Promise<WireJob> {
    return this.#call('GET', pathOf(id), { isAnswer: isJob })
  }

  async list(query: Omit<ListOptions, 'kind'> & { readonly kind?: string }): Promise<{ jobs: readonly WireJob[]; cursor: string | null }> {
    const given = Object.entries(query).flatMap(([name, value]): [string, string][] => (value === undefined ? [] : [[name, String(value)]]))
    const isAnswer: HubRequest['isAnswer'] = ({ jobs }) => Array.isArray(jobs) && jobs.every(isJob)
    return this.#call('GET', `/api/jobs?${new URLSearchParams(given)}`, { isAnswer })
  }

  async input(id: string): Promise<unknown> {
    return this.#call('GET', `${pathOf(id)}/input`, {})
  }

  async update(id: string, words: WordsUpdate): Promise<WireJob> {
    return this.#call('PATCH', pathOf(id), { body: words, isAnswer: isJob })
  }

  async act(id: string, action: JobAction): Promise<{ readonly status: Status }> {
    return this.#call('POST', `${pathOf(id)}/${action}`, { isAnswer: ({ status }) => typeof status === 'string' })
  }

  async artifacts(id: string): Promise<readonly JobArtifact[]> {
    const path = `${pathOf(id)}/artifacts`
    const isAnswer: HubRequest['isAnswer'] = ({ artifacts }) => Array.isArray(artifacts)
    const { artifacts } = await this.#call<{ readonly artifacts: readonly Artifact[] }>('GET', path, { isAnswer })
    return artifacts.map((artifact) => {
      const { url, ...known } = jobArtifactOf(artifact)
      return { ...known, url: known.bytes === null ? url : `${this.#hub.url}${path}/${known.name}` }
    })
  }

  download(id: string, name: string, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    this.#assertOpen()
    return downloadFrom(this.#hub, `${pathOf(id)}/artifacts/${encodeURIComponent(name)}`, signal)
  }

  async series(id: string): Promise<{ readonly series: readonly WireSeries[] }> {
    return this.#call('GET', `${pathOf(id)}/series`, { isAnswer: ({ series }) => Array.isArray(series) })
  }

  async curve(id: string, metric: string): Promise<WireCurve> {
    const query = new URLSearchParams({ metric })
    return this.#call('GET', `${pathOf(id)}/series?${query}`, { isAnswer: ({ buckets }) => Array.isArray(buckets) })
  }

  async log(id: string, query: LogPageOptions): Promise<WireLogPage> {
    const given = Object.entries(query).map(([name, value]): [string, string] => [name, String(value)])
    const isAnswer: HubRequest['isAnswer'] = ({ lines, first }) => Array.isArray(lines) && typeof first === 'number'
    return this.#call('GET', `${pathOf(id)}/log?${new URLSearchParams(given)}`, { isAnswer })
  }

  async sockets(): Promise<SocketAccess> {
    const WebSocket = await this.#loadWebSocket()
    this.#assertOpen()
    return socketsOf(this.#hub, WebSocket)
  }

  async ended(job: RunningJob, signal?: AbortSignal): Promise<void> {
    const access = await this.sockets()
    this.#finals ??= new FinalWatch(access)
    return this.#finals.ended(job, signal)
  }

  async close(reason: RuncastError): Promise<void> {
    this.#closed = reason
    for (const request of this.#requests) request.abort(reason)
    this.#finals?.close(reason)
  }

  /** The response has the form of every hub's: `isAnswer` checks what distinguishes it from that of another server. */
  async #call<T>(method: 'GET' | 'POST' | 'PATCH', path: string, request: HubRequest): Promise<T> {
    this.#assertOpen()
    const stop = new AbortController()
    this.#requests.add(stop)
    try {
      return (await callHub(this.#hub, method, path, { ...request, stop })) as T
    } finally {
      this.#requests.delete(stop)
    }
  }

  #assertOpen(): void {
    if (this.#closed) throw this.#closed
  }
}

function isJob(job: Partial<WireJob> | null): boolean {
  return typeof job?.id === 'string' && typeof job.status === 'string'
}

/**
 * Throws `not_found` for an id that no path can contain, and that no job has: one with lone surrogates, or one that
 * URLs drop from a path.
 */
function pathOf(id: string): string {
  if (/^\.{0,2}$/.test(id)) throw new RuncastError('not_found')
  try {
    return `/api/jobs/${encodeURIComponent(id)}`
  } catch (cause) {
    throw new RuncastError('not_found', { cause })
  }
}
