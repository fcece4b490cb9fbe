import { copyFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { signToken } from '../../src/cli/token.js'
import { CLONE, RELEASE_SECRET } from './release.js'
import { SseClient } from './sse-client.js'
import { type Message, TestClient } from './test-client.js'

/** Recordings of v0.1.0; see their README. */
export const RECORDED = join(CLONE, 'test/fixtures/v0.1.0')

/** Settings with the kinds and the solver of the recordings. Their module imports the release whose folder it is in. */
export function recordedKinds(root: string): Readonly<Record<'KINDS_MODULES' | 'SOLVERS_FILE', string>> {
  if (root !== CLONE) for (const file of ['kinds.mjs', 'solvers.json', 'failing.mjs']) copyFileSync(join(RECORDED, file), join(root, file))
  const folder = root === CLONE ? RECORDED : root
  return { KINDS_MODULES: join(folder, 'kinds.mjs'), SOLVERS_FILE: join(folder, 'solvers.json') }
}

/**
 * Source of frames: `live`: a socket opened at submit; `socket`: one opened later; `stream`: server-sent events; `get`:
 * a REST body.
 */
export type Door = 'live' | 'socket' | 'stream' | 'get'

export interface Recording {
  readonly door: Door
  readonly path: string
  /** Frames as received; of a stream `<id> <data>`, with `-` for an event without id. */
  readonly frames: readonly string[]
}

export interface Recorded {
  readonly recordings: readonly Recording[]
  /** Redis commands that restore the data. */
  readonly commands: readonly (readonly string[])[]
}

const HEADING = /^# (live|socket|stream|get) (\S+)$/
const DAY_MS = 24 * 3600_000

/** Reads frames and dump, with all times shifted by the same span to the present. */
export function readRecorded(): Recorded {
  const [head = '', ...dump] = linesOf('redis.txt')
  const recordedAt = Date.parse(head.replace('# recorded at ', ''))
  const moved = moveTimes(recordedAt, Date.now() - recordedAt)
  const recordings: { door: Door; path: string; frames: string[] }[] = []
  for (const line of linesOf('frames.txt')) {
    const [, door, path] = HEADING.exec(line) ?? []
    if (door !== undefined && path !== undefined)
      recordings.push({ door: door as Door, path, frames: [] }) // by HEADING
    else recordings.at(-1)?.frames.push(moved(line))
  }
  return { recordings, commands: dump.map((line) => JSON.parse(moved(line))) }
}

/** The frames of a source; throws if there are none. */
export function recordingOf({ recordings }: Recorded, door: Door, path: string): Message[] {
  const found = recordings.find((recording) => recording.door === door && recording.path === path)
  if (!found) throw new RangeError(`nothing is recorded of ${door} ${path}`)
  return found.frames.map((frame) => JSON.parse(door === 'stream' ? frame.slice(frame.indexOf(' ')) : frame))
}

/** Restores the dump into an empty Redis. */
export async function restore(url: string, { commands }: Recorded): Promise<void> {
  const redis = new Redis(url)
  try {
    for (const [command = '', ...args] of commands) await redis.call(command, ...args)
  } finally {
    redis.disconnect()
  }
}

function linesOf(file: string): string[] {
  return readFileSync(join(RECORDED, file), 'utf8').trimEnd().split('\n')
}

/** Shifts each time within a day of `around`: ISO 8601 in UTC, and epoch ms. */
function moveTimes(around: number, byMs: number): (text: string) => string {
  const isNear = (time: number) => Math.abs(time - around) < DAY_MS
  return (text) =>
    text
      .replace(/\b\d{13}\b/g, (ms) => (isNear(Number(ms)) ? `${Number(ms) + byMs}` : ms))
      .replace(/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, (iso) => {
        const time = Date.parse(iso)
        return isNear(time) ? new Date(time + byMs).toISOString() : iso
      })
}

/**
 * Masks what depends on Redis and time: the epoch of a history ([POS-6]), and the timestamp of a snapshot. Leaves out the
 * field that later versions have added for child jobs ([WORDS-6]).
 */
export function comparable(value: Message): Message {
  if (Array.isArray(value)) return value.map(comparable)
  if (typeof value !== 'object' || value === null) return value
  const { epoch: _epoch, parent_id: _parent, ...rest } = value
  if ('recovered' in rest || rest.type === 'process_list') delete rest.timestamp
  return Object.fromEntries(Object.entries(rest).map(([name, field]) => [name, comparable(field)]))
}

/** A user of a hub in another process. */
export class HubUser {
  readonly #http: string
  readonly token: string

  constructor({ http }: { readonly http: string }, sub = 'alice', claims: Readonly<Record<string, unknown>> = {}) {
    this.#http = http
    this.token = signToken(RELEASE_SECRET, sub, 3600, claims)
  }

  /** Rejects for an error answer. */
  async get(path: string): Promise<Message> {
    return JSON.parse(await this.text('GET', path))
  }

  async post(path: string, body?: object): Promise<Message> {
    return JSON.parse(await this.text('POST', path, body))
  }

  async patch(path: string, body: object): Promise<Message> {
    return JSON.parse(await this.text('PATCH', path, body))
  }

  /** The body of an answer as text. */
  async text(method: 'GET' | 'POST' | 'PATCH', path: string, body?: object): Promise<string> {
    const headers = { authorization: `Bearer ${this.token}`, ...(body && { 'content-type': 'application/json' }) }
    const answer = await fetch(`${this.#http}${path}`, { method, headers, ...(body && { body: JSON.stringify(body) }) })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`)
    return text
  }

  socket(path: string): TestClient {
    const url = new URL(path, this.#http.replace('http', 'ws'))
    url.searchParams.set('token', this.token)
    return new TestClient(url.href)
  }

  stream(path: string): SseClient {
    return new SseClient(`${this.#http}${path}`, { headers: { authorization: `Bearer ${this.token}` } })
  }
}
