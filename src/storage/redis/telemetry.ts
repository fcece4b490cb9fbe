import type { SeriesX } from '../../core/series-telemetry.js'
import { isStatus } from '../../protocol/status.js'
import { asked } from '../store-fault.js'
import {
  type ArtifactsReading,
  attemptEpoch,
  type LinesPage,
  type LinesQuery,
  logEpoch,
  type SeriesReading,
  type TelemetryAdded,
  type TelemetryListener,
  type TelemetryStore,
} from '../telemetry.js'
import { parseArtifact, parseArtifacts } from './artifacts.js'
import type { CommandConnection } from './connection.js'
import type { RedisKeys } from './keys.js'
import type { RedisSubscriber } from './subscriber.js'

export interface RedisTelemetryOptions {
  readonly commands: CommandConnection
  /** Called by the first subscription. */
  readonly subscriber: () => RedisSubscriber
  readonly keys: RedisKeys
}

const NEWLINE = 0x0a

/** Telemetry in Redis, on the connections of the broker. */
export class RedisTelemetry implements TelemetryStore {
  readonly #options: RedisTelemetryOptions
  #listener: TelemetryListener = { added: () => {}, gap: () => {} }

  constructor(options: RedisTelemetryOptions) {
    this.#options = options
  }

  listen(listener: TelemetryListener): void {
    this.#listener = listener
  }

  subscribe(id: string): Promise<void> {
    const message = (body: Buffer) => {
      const increment = parse(id, body)
      if (increment) this.#listener.added(increment)
      else this.#listener.gap(id)
    }
    return this.#options.subscriber().subscribe(this.#options.keys.telemetry(id), { message, gap: () => this.#listener.gap(id) })
  }

  unsubscribe(id: string): Promise<void> {
    return this.#options.subscriber().unsubscribe(this.#options.keys.telemetry(id))
  }

  async lines(id: string, { limit, maxBytes, after, before }: LinesQuery): Promise<LinesPage | null> {
    const { commands, keys } = this.#options
    const [way, number] = after === undefined ? ['before', before ?? ''] : ['after', after]
    const reply = await asked(commands.runcastReadLinesBuffer(keys.job(id), keys.lines(id), way, number, limit, maxBytes))
    if (!reply) return null
    const [owner, generation, round, statusText, oldest, last, first, lines] = reply
    const status = statusText.toString()
    if (!isStatus(status)) throw new TypeError(`stored data of job ${id} is not a job`)
    return { owner: owner.toString(), status, epoch: logEpoch(generation.toString(), round.toString()), oldest, last, first, lines }
  }

  allSeries(id: string): Promise<SeriesReading | null> {
    return this.#readSeries(id, '', 0)
  }

  async series(id: string, name: string, from = 0): Promise<SeriesReading | null> {
    return this.#readSeries(id, name, from)
  }

  async artifacts(id: string): Promise<ArtifactsReading | null> {
    const { commands, keys } = this.#options
    const fields = await asked(commands.hmget(keys.job(id), 'owner', 'generation', 'round', 'attempt', 'artifacts'))
    const [owner, generation, round, attempt, text] = fields
    if (!owner || !generation || !round || !attempt) return null
    const current = parseArtifacts(text).all.filter((line) => line.round === round && line.attempt === attempt)
    return { owner, epoch: attemptEpoch(generation, round, attempt), artifacts: current.map(({ artifact }) => artifact) }
  }

  async #readSeries(id: string, name: string, from: number): Promise<SeriesReading | null> {
    const { commands, keys } = this.#options
    const reply = await asked(commands.runcastReadSeriesBuffer(keys.job(id), keys.series(id), name, from))
    if (!reply) return null
    const [owner, generation, round, attempt, seq, curves] = reply
    const series = curves.map(([name, unit, x, n, k, size, from, bytes]) => {
      return { name: name.toString(), unit: unit.toString(), x: seriesX(x), n, k, size, from, bytes }
    })
    return { owner: owner.toString(), seq, epoch: attemptEpoch(`${generation}`, `${round}`, `${attempt}`), series }
  }
}

function seriesX(code: Buffer): SeriesX {
  return code.toString() === 's' ? 'step' : 'seconds'
}

/** Null for a reducer of a later version, and for bytes of another program. */
function parse(id: string, message: Buffer): TelemetryAdded | null {
  const end = message.indexOf(NEWLINE)
  const head = message.toString('utf8', 0, Math.max(end, 0))
  if (head.startsWith('series ')) return parsePoints(id, head, message.subarray(end + 1))
  if (head.startsWith('artifact ')) {
    return parseAdded(id, head.slice('artifact '.length), message.toString('utf8', end + 1))
  }
  const [reducer, generation = '', round = '', first, count] = head.split(' ')
  if (reducer !== 'append' || !Number.isSafeInteger(Number(first)) || !Number.isSafeInteger(Number(count))) return null
  const body = message.subarray(end + 1)
  return { reducer, id, epoch: logEpoch(generation, round), first: Number(first), count: Number(count), body }
}

function parseAdded(id: string, generation: string, line: string): TelemetryAdded | null {
  try {
    const { round, attempt, artifact } = parseArtifact(line)
    return { reducer: 'artifact', id, epoch: attemptEpoch(generation, round, attempt), artifact }
  } catch {
    return null
  }
}

function parsePoints(id: string, head: string, body: Buffer): TelemetryAdded | null {
  const [, generation = '', round = '', attempt = '', ...numbers] = head.split(' ', 7)
  const [from = Number.NaN, n = Number.NaN, k = Number.NaN] = numbers.map(Number)
  const name = /^(?:\S* ){7}(.*)$/.exec(head)?.[1]
  if (name === undefined || ![from, n, k].every(Number.isSafeInteger)) return null
  return { reducer: 'series', id, epoch: attemptEpoch(generation, round, attempt), name, from, n, k, body }
}
