import type { Entry, JobEvent } from '../../core/entry.js'
import type { Kinds } from '../../core/kind.js'
import type { StoredWords } from '../../core/words.js'
import { isFinal, type Status } from '../../protocol/status.js'
import type { BrokerLimits } from '../broker.js'
import { readEnvelope } from '../envelope.js'
import type {
  ActiveRounds,
  ChildJobs,
  Created,
  HistoryPage,
  JobRound,
  JobStore,
  KnownJob,
  ListFilter,
  ListPage,
  NewJob,
  Phase,
} from '../job-store.js'
import { asked } from '../store-fault.js'
import { type CommandConnection, connectCommands, type RedisConnectionOptions } from './connection.js'
import { JobIndex } from './job-index.js'
import { memberOf, RedisKeys, roundOf } from './keys.js'
import { STORE } from './stamped.js'
import { RedisStorage } from './storage.js'

/**
 * How many of the oldest jobs of an index are checked when a job is added, and how often this repeats while all of them
 * have expired.
 */
const TRIM = { oldest: 4, checks: 16 } as const

/**
 * Records of jobs in Redis. No script spans two hash slots. Writes to several slots have a fixed order, and the sweeper
 * repairs what a crash leaves.
 */
export class RedisJobStore implements JobStore, ChildJobs, ActiveRounds {
  readonly #commands: CommandConnection
  readonly #keys: RedisKeys
  readonly #limits: BrokerLimits
  readonly #kinds: Kinds
  readonly #storage: RedisStorage
  readonly #index: JobIndex

  constructor(options: RedisConnectionOptions & { prefix: string; limits: BrokerLimits; kinds: Kinds }) {
    this.#commands = connectCommands(options)
    this.#keys = new RedisKeys(options.prefix, options.url)
    this.#limits = options.limits
    this.#kinds = options.kinds
    this.#storage = new RedisStorage(this.#commands, this.#keys)
    const { activeTtlMs, finalTtlMs, maxListed } = options.limits
    const ttlMs = activeTtlMs + finalTtlMs
    this.#index = new JobIndex({ commands: this.#commands, keys: this.#keys, kinds: options.kinds.names, ttlMs, maxListed })
  }

  async create(job: NewJob, first: JobEvent): Promise<Created> {
    const { id, kind, owner, solver, parent, input, digest, generation, created_at, timeoutMs, words = {}, traceparent = '' } = job
    const { priority = '', not_before = '' } = job
    const [hash, log, ...others] = this.#keys.all(id)
    const keys = [hash, log, this.#keys.live(id), ...others]
    const body = JSON.stringify(first.message)
    const record = [STORE, kind, owner, input, digest, generation, created_at]
    const limits = [timeoutMs, this.#limits.activeTtlMs]
    const about = [solver ?? '', parent ?? '', words.title ?? '', words.tags ?? '', words.metadata ?? '', traceparent, priority, not_before]
    const reply = await asked(this.#commands.runcastCreate(...keys, ...record, body, ...limits, ...about))
    // Another job has this id, maybe of another kind: it belongs in no list of this one.
    if (reply[0] === 'exists' && (reply[1] !== owner || reply[2] !== digest))
      return { created: false, existing: { owner: reply[1], digest: reply[2] } }
    // Also for a job that exists: its first submit may have crashed right here.
    await this.reactivate({ id, kind, owner, created_at, round: reply[0] === 'created' ? 1 : reply[3] })
    if (reply[0] === 'created') await this.#trimOwned(owner, kind)
    await this.weigh(id)
    return reply[0] === 'created' ? { created: true } : { created: false, existing: { owner: reply[1], digest: reply[2] } }
  }

  async reactivate({ owner: _owner, kind: _kind, created_at, ...round }: KnownJob): Promise<void> {
    await this.activate(round, Date.parse(created_at))
    await this.#index.put(round.id, true)
  }

  async setWords(id: string, owner: string, words: Partial<StoredWords>): Promise<boolean> {
    const changes = Object.entries(words).flat()
    const answer = await asked(this.#commands.runcastSetWords(this.#keys.job(id), this.#keys.live(id), owner, ...changes))
    const isChanged = answer === 'active' || answer === 'final'
    if (isChanged && (words.title !== undefined || words.tags !== undefined)) await this.#index.put(id)
    // The sweeper measures the others soon.
    if (answer === 'final') await this.weigh(id)
    return answer !== 'none'
  }

  weigh(id: string): Promise<void> {
    return this.#storage.weigh(id)
  }

  /**
   * Newest first. The cursor is `<ms>:<id>` of the last job of the page, in microseconds for active jobs. All kinds are
   * merged here, so that no second index has to be kept consistent.
   */
  async list(
    owner: string,
    kind: string | null,
    limit: number,
    cursor?: string,
    phase?: Phase,
    filter: ListFilter = {},
  ): Promise<ListPage> {
    if (Object.keys(filter).length > 0) {
      const kinds = kind ? [kind] : this.#kinds.names
      return this.#index.search(owner, kinds, limit, cursor ? splitCursor(cursor) : null, phase, filter)
    }
    const { active } = this.#keys.feed(owner)
    if (phase === 'active') {
      const page = await this.#page([active], limit, cursor && inMicroseconds(cursor))
      if (!kind) return page
      const isOfKind = await this.#areIn(this.#keys.owned(owner, kind), page.ids)
      return { ...page, ids: page.ids.filter((_, i) => isOfKind[i]) }
    }
    const kinds = kind ? [kind] : this.#kinds.names
    const keys = kinds.map((kind) => this.#keys.owned(owner, kind))
    const page = await this.#page(keys, limit, cursor)
    return phase === 'final' ? { ...page, ids: await this.#withoutActive(active, page.ids) } : page
  }

  async history(id: string, after: number, limit: number): Promise<HistoryPage | null> {
    const log = this.#keys.log(id)
    const pipeline = this.#commands
      .pipeline()
      // Read the page first, so that entries trimmed meanwhile count as truncated. Then the kept entries, so that one
      // that moves meanwhile is read twice rather than not at all.
      .xrangeBuffer(log, `(${after}-0`, '+', 'COUNT', limit)
      .xrangeBuffer(this.#keys.kept(id), `(${after}-0`, '+', 'COUNT', limit)
      .xrange(log, '-', '+', 'COUNT', 1)
      .xlen(log)
      .hmget(this.#keys.job(id), 'durables', 'kept')
    const reply = await asked(pipeline.exec())
    const answers = (reply ?? []).map(([error, value]) => (error ? Promise.reject(error) : value))
    const [rows, keptRows, first, length, record] = await asked(Promise.all(answers))
    const [persisted, hasKept] = record as (string | null)[]
    if (typeof persisted !== 'string') return null
    const entriesOf = (rows: unknown) => (rows as [Buffer, Buffer[]][]).map(([, fields]) => readEnvelope(id, fields[1] ?? Buffer.alloc(0)))
    const ofLog = entriesOf(rows)
    const isOlder = ({ seq }: Entry) => ofLog[0] === undefined || seq < ofLog[0].seq
    const kept = hasKept === null ? [] : entriesOf(keptRows).filter(isOlder)
    const entries = [...kept, ...ofLog].slice(0, limit)
    const oldest = (first as [string, string[]][])[0]?.[0]
    const oldestSeq = oldest === undefined ? null : Number.parseInt(oldest, 10)
    const trimmed = Number(persisted) > Number(length)
    return { entries, oldestSeq, truncated: trimmed && (oldestSeq === null || after < oldestSeq - 1) }
  }

  async activate(round: JobRound, now: number): Promise<void> {
    await asked(this.#commands.zadd(this.#keys.active(), 'NX', now, memberOf(round)))
  }

  async active(before: number, limit: number): Promise<readonly JobRound[]> {
    const members = await asked(this.#commands.zrangebyscore(this.#keys.active(), '-inf', before, 'LIMIT', 0, limit))
    return members.map(roundOf)
  }

  async touch(round: JobRound, now: number): Promise<void> {
    const { id } = round
    await asked(this.#commands.zadd(this.#keys.active(), 'XX', now, memberOf(round)))
    const alive = await asked(this.#commands.runcastTouch(...this.#keys.all(id), this.#limits.activeTtlMs))
    if (alive) await this.#index.put(id)
    await this.weigh(id)
  }

  async deactivate(round: JobRound): Promise<void> {
    await this.#index.put(round.id)
    await asked(this.#commands.zrem(this.#keys.active(), memberOf(round)))
    await this.weigh(round.id)
  }

  async expireSoon(id: string): Promise<void> {
    const { childTtlMs } = this.#limits
    const isSooner = await asked(this.#commands.runcastExpire(...this.#keys.all(id), childTtlMs))
    if (isSooner === 1) await this.weigh(id)
  }

  async forget(owner: string, id: string): Promise<void> {
    await Promise.all(this.#kinds.names.map((kind) => this.#index.remove(owner, kind, id)))
  }

  close(): void {
    this.#commands.disconnect()
  }

  /** One page of several indices, merged in one order, newest first. */
  async #page(keys: readonly string[], limit: number, cursor: string | undefined): Promise<ListPage> {
    const rows = (await Promise.all(keys.map((key) => this.#owned(key, limit + 1, cursor)))).flat()
    const page = rows.sort((a, b) => Number(b.ms) - Number(a.ms) || (a.id < b.id ? 1 : -1)).slice(0, limit)
    const last = page.at(-1)
    return { ids: page.map(({ id }) => id), ...(rows.length > limit && last && { cursor: `${last.ms}:${last.id}` }) }
  }

  /** For each id, whether it is in an index. */
  async #areIn(key: string, ids: readonly string[]): Promise<boolean[]> {
    const scores = await asked(Promise.all(ids.map((id) => this.#commands.zscore(key, id))))
    return scores.map((score) => score !== null)
  }

  /** The ids that are not in the active-jobs index, and those that are still in it although they have ended. */
  async #withoutActive(active: string, ids: readonly string[]): Promise<string[]> {
    const isActive = await this.#areIn(active, ids)
    const ofActive = ids.map((id, i) => (isActive[i] ? this.#commands.hget(this.#keys.job(id), 'status') : null))
    const statuses = await asked(Promise.all(ofActive))
    return ids.filter((_, i) => !isActive[i] || isFinal(statuses[i] as Status)) // as the scripts write it
  }

  /** At most `count` jobs of one index after the cursor, newest first. */
  async #owned(key: string, count: number, cursor: string | undefined): Promise<{ ms: string; id: string }[]> {
    const [score, after] = cursor ? splitCursor(cursor) : ['+inf', undefined]
    const found: { ms: string; id: string }[] = []
    for (let offset = 0; ; offset += count) {
      const rows = await asked(this.#commands.zrevrangebyscore(key, score, '-inf', 'WITHSCORES', 'LIMIT', offset, count))
      for (let i = 0; i < rows.length; i += 2) {
        const [id = '', ms = ''] = [rows[i], rows[i + 1]]
        // Members with the same score come in reverse lexical order: skip up to and including the cursor's own.
        if (after !== undefined && ms === score && id >= after) continue
        if (found.push({ ms, id }) === count) return found
      }
      if (rows.length < 2 * count) return found
    }
  }

  /**
   * Removes expired jobs from an index, which its owner may never list. It checks the oldest jobs and a random one,
   * because a long-lived job may precede many expired ones. So more jobs are removed than added.
   */
  async #trimOwned(owner: string, kind: string): Promise<void> {
    const key = this.#keys.owned(owner, kind)
    const random = await asked(this.#commands.zrandmember(key))
    await this.#forgetExpired(owner, kind, random === null ? [] : [random])
    for (let checks = 0; checks < TRIM.checks; checks += 1) {
      const oldest = await asked(this.#commands.zrange(key, '0', String(TRIM.oldest - 1)))
      if ((await this.#forgetExpired(owner, kind, oldest)) < TRIM.oldest) return
    }
  }

  /** Removes the jobs that do not exist any more. Resolves to their number. */
  async #forgetExpired(owner: string, kind: string, ids: readonly string[]): Promise<number> {
    const exist = await asked(Promise.all(ids.map((id) => this.#commands.exists(this.#keys.job(id)))))
    const expired = ids.filter((_, i) => exist[i] === 0)
    if (expired.length === 0) return 0
    // One of them may have been submitted again meanwhile.
    await Promise.all(expired.map((id) => this.#index.remove(owner, kind, id)))
    await Promise.all(expired.map((id) => this.#index.put(id, true, owner)))
    return expired.length
  }
}

/** The cursor of a list of active jobs, in microseconds. Hubs of an earlier version used ms. */
function inMicroseconds(cursor: string): string {
  const [score, id] = splitCursor(cursor)
  return score.length < 15 ? `${score}999:${id}` : cursor
}

function splitCursor(cursor: string): [score: string, id: string] {
  const at = cursor.indexOf(':')
  return [cursor.slice(0, at), cursor.slice(at + 1)]
}
