import { randomBytes } from 'node:crypto'
import { FENCED_FROM, type Writer } from '../../core/entry.js'
import { isFinal, type Status } from '../../protocol/status.js'
import type {
  ArtifactLimits,
  ArtifactRecord,
  ArtifactRecords,
  Begun,
  Committed,
  JobArtifacts,
  NewArtifact,
  Rejection,
  StoredJob,
  UserTotals,
} from '../artifact-records.js'
import { asked } from '../store-fault.js'
import type { CommandConnection } from './connection.js'
import type { RedisKeys } from './keys.js'
import { STORE } from './stamped.js'

/** A reservation that is not renewed ends after this time: its process has died. */
const RESERVED_MS = 30_000

/** In place of the object of a link. */
const NO_OBJECT = '-'

export interface RedisArtifactsOptions {
  readonly limits: ArtifactLimits
  /** TTL of what a user has stored. The sweeper renews it while the user has artifacts. */
  readonly keepMs: number
}

/** Artifacts in Redis: each job's in its hash, the totals of each user, and the expiry index. */
export class RedisArtifacts implements ArtifactRecords {
  readonly #commands: CommandConnection
  readonly #keys: RedisKeys
  readonly #options: RedisArtifactsOptions

  constructor(commands: CommandConnection, keys: RedisKeys, options: RedisArtifactsOptions) {
    this.#commands = commands
    this.#keys = keys
    this.#options = options
  }

  async begin(id: string, { round, token }: Writer, name: string): Promise<Begun | Rejection> {
    const generation = randomBytes(6).toString('hex')
    const reply = await asked(this.#commands.runcastArtifactBegin(this.#keys.job(id), round, token, FENCED_FROM, name, generation))
    if (reply[0] !== 'ok') return { ok: false, reason: reply[0] }
    return { ok: true, generation: reply[1], owner: reply[2], count: reply[3], bytes: Number(reply[4]) }
  }

  async commit(id: string, { round, token }: Writer, generation: string, artifact: NewArtifact): Promise<Committed | Rejection> {
    const { name, bytes, object, ...rest } = artifact
    const { maxPerJob, maxBytesPerJob } = this.#options.limits
    const keys = [this.#keys.job(id), this.#keys.telemetry(id)]
    const fence = [STORE, round, token, FENCED_FROM, generation]
    const line = [name, bytes ?? 0, object ?? NO_OBJECT, JSON.stringify(rest)]
    const reply = await asked(this.#commands.runcastArtifactCommit(...keys, ...fence, ...line, maxPerJob, maxBytesPerJob))
    if (reply[0] !== 'ok') return { ok: false, reason: reply[0] }
    const [, count, total, ...replaced] = reply
    return { ok: true, count, bytes: Number(total), replaced }
  }

  async read(id: string): Promise<JobArtifacts | null> {
    const key = this.#keys.job(id)
    const [fields, ttlMs] = await asked(
      Promise.all([this.#commands.hmget(key, 'owner', 'status', 'round', 'attempt', 'artifacts'), this.#commands.pttl(key)]),
    )
    const [owner, status, round, attempt, text] = fields
    if (!owner || !status) return null
    const { generation, all } = parseArtifacts(text)
    const objects = all.flatMap(({ artifact: { object } }) => object ?? [])
    const bytes = all.reduce((sum, { artifact }) => sum + (artifact.bytes ?? 0), 0)
    const current = all.filter((line) => line.round === round && line.attempt === attempt)
    const artifacts = current.map(({ artifact }) => artifact).toSorted((a, b) => (a.name < b.name ? -1 : 1))
    // as the scripts write the status
    return {
      owner,
      generation,
      artifacts,
      objects,
      count: all.length,
      bytes,
      isFinal: isFinal(status as Status),
      ttlMs: Math.max(ttlMs, 0),
    }
  }

  async reserve(owner: string, upload: string, bytes: number): Promise<UserTotals | null> {
    const { maxBytesPerUser, maxPerUser } = this.#options.limits
    const [isAllowed, total, count] = await this.#quota(owner, upload, bytes, 1, RESERVED_MS, maxBytesPerUser, maxPerUser)
    return isAllowed === 1 ? null : { bytes: Number(total), count: count ?? 0 }
  }

  async release(owner: string, upload: string): Promise<void> {
    await this.#quota(owner, upload, 0, 0, 0, 0, 0)
  }

  async count(job: StoredJob, { bytes, count } = { bytes: 0, count: 0 }): Promise<void> {
    await this.#quota(job.owner, memberOf(job), bytes, count, 0, 0, 0)
  }

  #quota(owner: string, member: string, ...numbers: number[]): Promise<[allowed: number, bytes?: string, count?: number]> {
    return asked(this.#commands.runcastArtifactQuota(...this.#keys.artifactQuota(owner), member, ...numbers, this.#options.keepMs))
  }

  async schedule(job: StoredJob, at: number): Promise<void> {
    const { due, owners } = this.#keys.artifacts()
    const member = memberOf(job)
    const reply = await asked(this.#commands.multi().zadd(due, at, member).hset(owners, member, job.owner).exec())
    for (const [error] of reply ?? []) if (error) await asked(Promise.reject(error))
  }

  async due(now: number, limit: number): Promise<readonly StoredJob[]> {
    const { due, owners } = this.#keys.artifacts()
    const members = await asked(this.#commands.zrangebyscore(due, '-inf', now, 'LIMIT', 0, limit))
    if (members.length === 0) return []
    const found = await asked(this.#commands.hmget(owners, ...members))
    return members.map((member, i) => {
      const [id = '', generation = ''] = member.split('/')
      return { id, generation, owner: found[i] ?? '' }
    })
  }

  async isScheduled(job: Pick<StoredJob, 'id' | 'generation'>): Promise<boolean> {
    return (await asked(this.#commands.zscore(this.#keys.artifacts().due, memberOf(job)))) !== null
  }

  async unschedule(job: StoredJob): Promise<void> {
    const { due, owners } = this.#keys.artifacts()
    const member = memberOf(job)
    const reply = await asked(this.#commands.multi().zrem(due, member).hdel(owners, member).exec())
    for (const [error] of reply ?? []) if (error) await asked(Promise.reject(error))
  }

  async marker(): Promise<string | null> {
    return asked(this.#commands.get(this.#keys.artifacts().marker))
  }

  async mark(marker: string): Promise<string> {
    const key = this.#keys.artifacts().marker
    await asked(this.#commands.set(key, marker, 'NX'))
    return (await asked(this.#commands.get(key))) ?? marker
  }

  async isFirstIn(ms: number): Promise<boolean> {
    return (await asked(this.#commands.set(this.#keys.artifacts().reconciled, '1', 'PX', ms, 'NX'))) === 'OK'
  }
}

function memberOf({ id, generation }: Pick<StoredJob, 'id' | 'generation'>): string {
  return `${id}/${generation}`
}

interface ArtifactLine {
  readonly round: string
  readonly attempt: string
  readonly artifact: ArtifactRecord
}

/** The field `artifacts` of a job: the generation of its artifacts, and all of them. */
export function parseArtifacts(text: string | null | undefined): { generation: string | null; all: ArtifactLine[] } {
  const [generation = null, ...lines] = text?.split('\n') ?? []
  return { generation, all: lines.map(parseArtifact) }
}

/** A line of the field, as `commit` has written it. */
export function parseArtifact(line: string): ArtifactLine {
  const [round = '', attempt = '', name = '', bytes, object = NO_OBJECT, ...rest] = line.split(' ')
  const { n = 0, ...others } = JSON.parse(rest.join(' ')) as Omit<ArtifactRecord, 'name' | 'bytes' | 'object' | 'n'> & { n?: number }
  const isLink = object === NO_OBJECT
  return { round, attempt, artifact: { name, bytes: isLink ? null : Number(bytes), object: isLink ? null : object, ...others, n } }
}
