import {
  type Backend,
  DEFAULT_LIMIT,
  type JobAction,
  type ListOptions,
  type LogPageOptions,
  type WireCurve,
  type WireLogPage,
  type WireSeries,
  type WireSubmission,
  type WordsUpdate,
} from '../client/client.js'
import type { JobArtifact } from '../client/download.js'
import type { RunningJob } from '../client/final-watch.js'
import { JobEvents, type SocketAccess } from '../client/job-events.js'
import type { WireJob } from '../client/job-info.js'
import type { Config } from '../config/config.js'
import type { JobBrief } from '../core/job-state.js'
import type { Kinds } from '../core/kind.js'
import { jobView } from '../core/native-dialect.js'
import { bucketsOf } from '../core/series.js'
import type { Hub } from '../hub/hub.js'
import { JobService, type View } from '../jobs/job-service.js'
import { filterOf } from '../jobs/list-query.js'
import { DEFAULT_LINES, logPageOf, MAX_LOG_PAGE_BYTES } from '../jobs/log-page.js'
import type { WordsChanges } from '../jobs/words.js'
import { RuncastError } from '../protocol/codes.js'
import { isJobId } from '../protocol/job-id.js'
import type { Status } from '../protocol/status.js'
import type { ArtifactRecord } from '../storage/artifact-records.js'
import type { SeriesReading, StoredSeries } from '../storage/telemetry.js'
import { localSockets } from './local-sockets.js'
import { knownName } from './own-kinds.js'
import { type Adapters, buildAdapters, buildHub, faultLogger, type Log } from './parts.js'

/** Added to the names of the known kinds, where another one is named. */
const MORE_KINDS = '; the option kinds of the client adds others'

interface Connected {
  readonly adapters: Adapters
  readonly hub: Hub
  readonly jobs: JobService
  readonly access: SocketAccess
}

/**
 * A backend on Redis, without a hub on the network: the use cases and sessions of a hub run in this process. Connects
 * on first use.
 */
export class RedisBackend implements Backend {
  readonly #kinds: Kinds
  readonly #config: Config
  readonly #owner: string
  readonly #log: Log
  readonly #ends = new Set<JobEvents>()
  #connected: Connected | undefined
  #closed: RuncastError | undefined

  /** `kinds`: the kinds that it may submit and read. */
  constructor(config: Config, owner: string, log: Log, kinds: Kinds) {
    this.#kinds = kinds
    this.#config = config
    this.#owner = owner
    this.#log = log
  }

  async submit({ kind: name, idempotencyKey: key, id, ...given }: WireSubmission): Promise<{ readonly id: string }> {
    const kind = knownName(this.#kinds, name, MORE_KINDS)
    if (id !== undefined && !isJobId(id)) {
      const expected = '1 to 128 of A-Z a-z 0-9 _ . -, beginning with a letter or digit, not only digits'
      throw new RuncastError('invalid', { issues: [{ path: '/id', expected }] })
    }
    const submission = { ...given, kind, owner: this.#owner, ...(id !== undefined && { id }), ...(key !== undefined && { key }) }
    return this.#ask((jobs) => jobs.submit(submission))
  }

  async read(id: string): Promise<WireJob> {
    return wireOf(await this.#ask((jobs) => jobs.read(null, id, this.#view)))
  }

  async list({ kind, limit = DEFAULT_LIMIT, cursor: from, ...query }: Omit<ListOptions, 'kind'> & { readonly kind?: string }) {
    const { phase, filter } = filterOf(query, '')
    const of = kind === undefined ? null : knownName(this.#kinds, kind, MORE_KINDS)
    const { jobs, cursor = null } = await this.#ask((jobs) => jobs.list(this.#owner, of, limit, from, phase, filter))
    return { jobs: jobs.map(wireOf), cursor }
  }

  async input(id: string): Promise<unknown> {
    return JSON.parse((await this.#ask((jobs) => jobs.read(null, id, this.#view))).input)
  }

  async update(id: string, words: WordsUpdate): Promise<WireJob> {
    return wireOf(await this.#ask((jobs) => jobs.update(null, id, this.#view, words as WordsChanges))) // checked there
  }

  async act(id: string, action: JobAction): Promise<{ readonly status: Status }> {
    switch (action) {
      case 'cancel':
        return { status: await this.#ask((jobs) => jobs.cancel(id, this.#view)) }
      case 'retry':
        return this.#ask((jobs) => jobs.retry(id, this.#view))
      default:
        return { status: await this.#ask((jobs) => jobs.pause(null, id, this.#view, action === 'pause' ? 'paused' : 'running')) }
    }
  }

  async log(id: string, { before, limit = DEFAULT_LINES }: LogPageOptions): Promise<WireLogPage> {
    const query = { limit, maxBytes: MAX_LOG_PAGE_BYTES, before }
    return logPageOf((await this.#ask((jobs) => jobs.log(null, id, this.#view, query))).page)
  }

  async artifacts(id: string): Promise<readonly JobArtifact[]> {
    return (await this.#artifactsOf(id)).map(({ object: _object, n: _n, url, ...artifact }) => {
      return { ...artifact, url: url ?? `/api/jobs/${id}/artifacts/${artifact.name}` }
    })
  }

  async *download(id: string, name: string, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    const open = async () => {
      const record = (await this.#artifactsOf(id)).find((artifact) => artifact.name === name)
      return record && this.#connect().adapters.artifacts.download(record)?.open()
    }
    // An artifact that is replaced after its record was read is another object.
    const content = (await open()) ?? (await open())
    if (!content) throw new RuncastError('not_found', 'There is no such artifact.')
    for await (const piece of content) {
      signal?.throwIfAborted()
      yield piece
    }
  }

  async #artifactsOf(id: string): Promise<readonly ArtifactRecord[]> {
    const { owner } = await this.#ask((jobs) => jobs.read(null, id, this.#view))
    const found = await this.#connect().adapters.artifacts.read(id, owner)
    if (!found) throw new RuncastError('not_found')
    return found.artifacts
  }

  async series(id: string): Promise<{ readonly series: readonly WireSeries[] }> {
    const { epoch, series } = await this.#readSeries(id)
    return { series: series.map((one) => seriesOf(epoch, one)) }
  }

  async curve(id: string, metric: string): Promise<WireCurve> {
    const { epoch, series } = await this.#readSeries(id, metric)
    const [one] = series
    if (!one) throw new RuncastError('not_found', `The job has no metric ${JSON.stringify(metric)} with a curve.`)
    return { ...seriesOf(epoch, one), buckets: bucketsOf(one.bytes) }
  }

  async sockets(): Promise<SocketAccess> {
    return this.#connect().access
  }

  async ended({ id, position }: RunningJob, signal?: AbortSignal): Promise<void> {
    const events: JobEvents = new JobEvents(
      id,
      () => this.sockets(),
      { after: position, ...(signal && { signal }) },
      () => {
        this.#ends.delete(events)
      },
    )
    this.#ends.add(events)
    for await (const _event of events); // up to the final one
  }

  async close(reason: RuncastError): Promise<void> {
    this.#closed = reason
    for (const events of this.#ends) events.close(reason)
    const connected = this.#connected
    this.#connected = undefined
    connected?.hub.close()
    await connected?.adapters.close()
  }

  /** All curves without their buckets, or that of one metric. */
  async #readSeries(id: string, metric?: string): Promise<SeriesReading> {
    await this.read(id)
    const { telemetry } = this.#connect().adapters
    const reading = metric === undefined ? await telemetry.allSeries(id) : await telemetry.series(id, metric)
    if (reading?.owner !== this.#owner) throw new RuncastError('not_found')
    return reading
  }

  readonly #view: View = (owner) => owner === this.#owner

  /** Waits for the time of Redis, since changes are stamped with it. Rejects with the reason of `close`. */
  async #ask<T>(act: (jobs: JobService) => Promise<T>): Promise<T> {
    try {
      const { adapters, jobs } = this.#connect()
      await adapters.begun
      return await act(jobs)
    } catch (error) {
      throw this.#closed ?? error
    }
  }

  #connect(): Connected {
    if (this.#closed) throw this.#closed
    if (this.#connected) return this.#connected
    const [config, log] = [this.#config, this.#log]
    const adapters = buildAdapters(config, log, this.#kinds)
    const hub = buildHub(config, adapters, log)
    const jobs = new JobService(adapters)
    const onFault = faultLogger(log, adapters.health, 'client error')
    const local = { hub, jobs, owner: this.#owner, maxSubscriptions: config.MAX_SUBSCRIPTIONS, onFault }
    const access = { url: (path: string) => `ws://local${path}`, token: () => 'local', WebSocket: localSockets(local) }
    this.#connected = { adapters, hub, jobs, access }
    return this.#connected
  }
}

function wireOf(state: JobBrief): WireJob {
  return jobView(state) as unknown as WireJob // the schemas of its kind have validated the final message
}

function seriesOf(epoch: string, { name, unit, x, n, k }: StoredSeries): WireSeries {
  return { metric_name: name, unit, x, n, k, epoch }
}
