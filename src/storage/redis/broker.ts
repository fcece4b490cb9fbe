import { type Entry, FENCED_FROM, type JobEvent, type Position, sourcesOf, type Writer } from '../../core/entry.js'
import type { JobBrief, JobState } from '../../core/job-state.js'
import type { Kinds } from '../../core/kind.js'
import { metricKey } from '../../core/run-events.js'
import type { Telemetry } from '../../core/telemetry.js'
import { readWords } from '../../core/words.js'
import { RuncastError } from '../../protocol/codes.js'
import { isComputed, isStatus, STAMPS, type Status } from '../../protocol/status.js'
import {
  type Broker,
  type BrokerLimits,
  type BrokerListener,
  type Heartbeats,
  type Reading,
  type Rejected,
  tooBig,
  tooManyKeys,
  tooManySeries,
  type WriteRejection,
  type Written,
} from '../broker.js'
import type { Checkpoint, Checkpoints, NextCheckpoint } from '../checkpoints.js'
import { readEnvelope } from '../envelope.js'
import { asked } from '../store-fault.js'
import { TelemetryTally } from '../telemetry-tally.js'
import { type CommandConnection, connectCommands, connectSubscriptions, type RedisConnectionOptions } from './connection.js'
import { RedisKeys } from './keys.js'
import { STORE } from './stamped.js'
import { RedisSubscriber } from './subscriber.js'

/** Number of fields of a job's hash that are not conflation keys: 32, rounded up. */
const RECORD_FIELDS = 40
/** Memory of a bucket of a curve in Redis, with its share of keys and allocation. */
const STORED_BUCKET_BYTES = 64

/** An argument of a script. */
type Argument = string | number | Buffer

/**
 * hop 3: from job-context, to publish.lua; and from its channel back to the hub, which reads only the head of an
 * envelope. The message is serialised here, once: these are the bytes that the browser receives, except for `seq`.
 */
export class RedisBroker implements Broker, Heartbeats, Checkpoints {
  readonly tally = new TelemetryTally()
  readonly #commands: CommandConnection
  readonly #keys: RedisKeys
  readonly #limits: BrokerLimits
  readonly #kinds: Kinds
  readonly #options: RedisConnectionOptions
  #listener: BrokerListener = { entry: () => {}, gap: () => {} }
  #subscriber: RedisSubscriber | undefined

  constructor(options: RedisConnectionOptions & { prefix: string; limits: BrokerLimits; kinds: Kinds }) {
    this.#commands = connectCommands(options)
    this.#keys = new RedisKeys(options.prefix, options.url)
    this.#limits = options.limits
    this.#kinds = options.kinds
    this.#options = options
  }

  /**
   * The channels of this process, on a connection of their own. It is opened by the first subscriber, because a process
   * that only publishes does not need it.
   */
  get channels(): RedisSubscriber {
    return this.#open()
  }

  get commands(): CommandConnection {
    return this.#commands
  }

  async publish(
    id: string,
    events: readonly JobEvent[],
    writer: Writer,
    telemetry: readonly Telemetry[] = [],
  ): Promise<Written | Rejected> {
    const args = this.#argumentsOf(events, writer)
    if (!Array.isArray(args)) return args
    for (const report of telemetry) args.push(...argumentsOf(report))
    return this.#answerOf(events, telemetry, await asked(this.#commands.runcastPublish(...this.#keysOf(id), ...args)))
  }

  async advance(
    id: string,
    events: readonly JobEvent[],
    writer: Writer,
    { version, children, data }: NextCheckpoint,
    telemetry: readonly Telemetry[] = [],
  ): Promise<Written | Rejected> {
    const args = this.#argumentsOf(events, writer)
    if (!Array.isArray(args)) return args
    for (const report of telemetry) args.push(...argumentsOf(report))
    const keys = [...this.#keysOf(id), this.#keys.checkpoint(id)]
    return this.#answerOf(
      events,
      telemetry,
      await asked(this.#commands.runcastAdvance(...keys, ...args, version, JSON.stringify(children), data)),
    )
  }

  async load(id: string): Promise<Checkpoint | null> {
    const key = this.#keys.checkpoint(id)
    const [version, round, children, data] = await asked(this.#commands.hmget(key, 'version', 'round', 'parts', 'data'))
    // As `advance` wrote it.
    return data ? { version: Number(version), round: Number(round), children: JSON.parse(children ?? '[]') as string[], data } : null
  }

  async drop(id: string, round: number): Promise<void> {
    await asked(this.#commands.runcastDrop(this.#keys.checkpoint(id), round))
  }

  #keysOf(id: string): string[] {
    const keys = this.#keys
    return [keys.job(id), keys.log(id), keys.live(id), keys.kept(id), keys.lines(id), keys.series(id), keys.telemetry(id)]
  }

  #answerOf(events: readonly JobEvent[], telemetry: readonly Telemetry[], reply: Parameters<typeof answerOf>): Written | Rejected {
    const answer = answerOf(...reply)
    if (answer.ok) this.tally.written(telemetry)
    if (!answer.ok && answer.reason === 'too_many_series') {
      this.tally.rejectedSeries += 1
      return tooManySeries(telemetry, answer.status, this.#limits)
    }
    return !answer.ok && answer.reason === 'too_many_keys' ? tooManyKeys(events, answer.status, this.#limits) : answer
  }

  /** The arguments of a publication after its keys, or the error for a message that is too big. */
  #argumentsOf(events: readonly JobEvent[], writer: Writer): Argument[] | Rejected {
    const { maxLogEntries, maxKeys, activeTtlMs, finalTtlMs, maxLogLines, maxLogBytes, maxSeries, maxSeriesBytes } = this.#limits
    const ofTelemetry = [maxLogLines, maxLogBytes, maxSeries, Math.floor(maxSeriesBytes / STORED_BUCKET_BYTES)]
    const limits = [maxLogEntries, maxKeys + RECORD_FIELDS, activeTtlMs, finalTtlMs, ...ofTelemetry]
    const args: Argument[] = [STORE, writer.round, writer.token, writer.n, ...limits, events.length]
    for (const [i, event] of events.entries()) {
      const body = JSON.stringify(event.message)
      const bytes = Buffer.byteLength(body)
      if (bytes > this.#limits.maxEventBytes) return tooBig(events, i, bytes, this.#limits)
      const { to } = event
      args.push(event.class, event.key, body, to ?? '', to ? `,${sourcesOf(event).join()},` : '')
      args.push(
        event.clears ? [event.clears, ...(event.clearedKeys ?? [])].join(' ') : '',
        (to && STAMPS[to]) ?? '',
        String(event.message.timestamp),
        event.optional ? '1' : '',
      )
    }
    return args
  }

  async heartbeat(id: string, { round, token }: Writer, alive: boolean): Promise<Written | Rejected> {
    return answerOf(...(await asked(this.#commands.runcastHeartbeat(this.#keys.job(id), round, token, alive ? '1' : '', FENCED_FROM))))
  }

  async read(id: string, since?: Position): Promise<Reading | null> {
    const keys = [this.#keys.job(id), this.#keys.log(id)]
    const reply = await asked(
      this.#commands.runcastReadBuffer(...keys, STORE, since?.epoch ?? '', since?.seq ?? 0, this.#limits.maxMissedEntries),
    )
    if (!reply) return null
    const [fields, epoch, now, envelopes] = reply
    const state = readState(id, pairsOf(fields), { epoch: epoch.toString(), now, staleMs: this.#limits.staleMs, kinds: this.#kinds })
    if (!since || !envelopes) return { state }
    const persisted = envelopes.map((envelope) => readEnvelope(id, envelope))
    const transients = [...state.latest.values()].filter((entry) => entry.class === 'transient' && entry.seq > since.seq)
    return { state, missed: [...persisted, ...transients].sort((a, b) => a.seq - b.seq) }
  }

  async readBrief(id: string): Promise<JobBrief | null> {
    const reply = await asked(this.#commands.runcastReadBrief(this.#keys.job(id), STORE))
    if (!reply) return null
    const [fields, epoch, now] = reply
    return readState(id, Object.entries<string>(JSON.parse(fields)), { epoch, now, staleMs: this.#limits.staleMs, kinds: this.#kinds })
  }

  listen(listener: BrokerListener): void {
    this.#listener = listener
    this.#open()
  }

  #open(): RedisSubscriber {
    this.#subscriber ??= new RedisSubscriber(connectSubscriptions(this.#options), this.#commands, this.#keys, this.#options.onFault)
    return this.#subscriber
  }

  subscribe(id: string): Promise<void> {
    const message = (envelope: Buffer) => {
      const entry = parse(id, envelope)
      if (entry) this.#listener.entry(entry)
      else this.#listener.gap(id)
    }
    return this.channels.subscribe(this.#keys.live(id), { message, gap: () => this.#listener.gap(id) })
  }

  unsubscribe(id: string): Promise<void> {
    return this.channels.unsubscribe(this.#keys.live(id))
  }

  ready(): Promise<boolean> {
    return this.channels.ready()
  }

  async close(): Promise<void> {
    this.#subscriber?.close()
    this.#commands.disconnect()
  }
}

/** The arguments of telemetry.lua for a report. */
function argumentsOf(report: Telemetry): Argument[] {
  if (report.reducer === 'append') return [report.reducer, report.lines.length + 1, report.skipped, ...report.lines]
  const { reducer, name, unit, x, k, bytes, body } = report
  return [reducer, 7, name, metricKey(name), unit, x === 'step' ? 's' : 't', k, Buffer.from(bytes.buffer), JSON.stringify(body)]
}

function answerOf(outcome: string, seq: number, text: string): Written | Rejected {
  const status = isStatus(text) ? text : null
  if (outcome === 'ok' && status) return { ok: true, seq, status }
  return { ok: false, reason: outcome as WriteRejection, status } // the scripts return only reasons of that list
}

/** Null if the bytes are not an envelope: another program has written to the channel. */
function parse(id: string, envelope: Buffer): Entry | null {
  try {
    return readEnvelope(id, envelope)
  } catch {
    return null
  }
}

/** The fields of a flat reply of HGETALL. */
function* pairsOf(fields: readonly Buffer[]): Generator<readonly [string, Buffer]> {
  for (let i = 0; i < fields.length; i += 2) yield [String(fields[i]), fields[i + 1] ?? Buffer.alloc(0)]
}

/**
 * Reads the hash of a job. Throws `not_found` if this process does not know the kind of
 * the job, and `TypeError` if runcast did not write the hash.
 */
function readState(
  id: string,
  fields: Iterable<readonly [name: string, value: Buffer | string]>,
  { epoch, now, staleMs, kinds }: { epoch: string; now: number; staleMs: number; kinds: Kinds },
): JobState {
  const record = new Map<string, string>()
  const entries: Entry[] = []
  for (const [name, value] of fields) {
    if (name.startsWith('last:')) entries.push(readEnvelope(id, typeof value === 'string' ? Buffer.from(value) : value))
    else record.set(name, value.toString())
  }
  entries.sort((a, b) => a.seq - b.seq)
  const name = record.get('kind') ?? ''
  const status = record.get('status') ?? ''
  if (name === '' || !isStatus(status)) throw new TypeError(`stored data of job ${id} is not a job`)
  const kind = kinds.find(name)
  if (!kind) throw new RuncastError('not_found', `Job ${id} has the kind ${name}, which is not registered in this process (KINDS_MODULES).`)
  const sinceHeartbeatMs = sinceHeartbeat(status, record.get('beat_at'), now)
  const words = readWords({ title: record.get('title'), tags: record.get('tags'), metadata: record.get('metadata') })
  const traceparent = record.get('traceparent')
  const [not_before, priority] = [record.get('not_before'), record.get('priority')]
  return {
    id,
    kind,
    owner: record.get('owner') ?? '',
    solver: record.get('solver') ?? null,
    parent: record.get('parent') ?? null,
    ...(words && { words }),
    ...(traceparent !== undefined && { traceparent }),
    ...(not_before !== undefined && { not_before }),
    ...(priority !== undefined && { priority: Number(priority) }),
    input: record.get('input') ?? '',
    status,
    round: Number(record.get('round')),
    attempt: Number(record.get('attempt')),
    token: Number(record.get('token') ?? 0),
    n: Number(record.get('n') ?? 0),
    sinceHeartbeatMs,
    stale: sinceHeartbeatMs !== null && sinceHeartbeatMs > staleMs,
    timeoutMs: Number(record.get('timeout_ms')),
    created_at: record.get('created_at') ?? '',
    started_at: record.get('started_at') ?? null,
    finished_at: record.get('finished_at') ?? null,
    generation: record.get('generation') ?? '',
    epoch,
    seq: Number(record.get('seq')),
    latest: new Map(entries.map((entry) => [entry.key, entry])),
  }
}

function sinceHeartbeat(status: Status, beatAt: string | undefined, now: number): number | null {
  return isComputed(status) && beatAt !== undefined ? Math.max(0, now - Number(beatAt)) : null
}
