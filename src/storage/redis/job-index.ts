import { foldTitle } from '../../core/words.js'
import { isFinal, type Status } from '../../protocol/status.js'
import type { ListFilter, ListPage, Phase } from '../job-store.js'
import { asked } from '../store-fault.js'
import type { CommandConnection } from './connection.js'
import type { RedisKeys } from './keys.js'

/** Maximum jobs that one page looks at. A page may end earlier than its limit, with a cursor. */
const MAX_LOOKED_AT = 1024
/** How often all jobs of a user are checked for some that earlier versions have written, and how many in one read. */
const CHECK = { everyMs: 60_000, newest: 16, step: 500, maxOwners: 10_000 } as const
/** Repeated while the job changes meanwhile. */
const MAX_TRIES = 5
const FACTS = ['owner', 'kind', 'created_at', 'parent', 'status', 'title', 'tags'] as const

type Facts = Record<(typeof FACTS)[number], string>

export interface JobIndexOptions {
  readonly commands: CommandConnection
  readonly keys: RedisKeys
  readonly kinds: readonly string[]
  readonly ttlMs: number
  /** Maximum jobs of one kind in the index of a user. */
  readonly maxListed: number
}

/**
 * Where the jobs of a user are found by tag, title, parent and end. It follows the hashes of the jobs, which are in
 * other slots: a job is put again after each change, and a reader checks what it finds. Jobs that earlier versions
 * write are put as soon as their owner searches.
 */
export class JobIndex {
  readonly #options: JobIndexOptions
  /** When all jobs of a user were last checked, by owner. */
  readonly #checked = new Map<string, number>()

  constructor(options: JobIndexOptions) {
    this.#options = options
  }

  /**
   * Puts a job where its hash says. `isNew`: also into the list of its kind. Resolves to whether there is such a job.
   */
  async put(id: string, isNew = false, owner?: string): Promise<boolean> {
    let facts = await this.#factsOf(id)
    for (let tries = 0; facts && tries < MAX_TRIES; tries += 1) {
      if (owner !== undefined && facts.owner !== owner) return false
      await this.#write(id, facts, isNew)
      const now = await this.#factsOf(id)
      if (!now || FACTS.every((name) => now[name] === facts?.[name])) return now !== null
      facts = now
    }
    return facts !== null
  }

  /** Removes a job from the lists of a user. */
  async remove(owner: string, kind: string, id: string): Promise<void> {
    await this.#put(owner, kind, id, ['', '', ''])
  }

  /** One page of jobs, newest first. What is found may have changed since: the caller checks it. */
  async search(
    owner: string,
    kinds: readonly string[],
    limit: number,
    cursor: readonly [score: string, id: string] | null,
    phase: Phase | undefined,
    { status, tag, parent, since, until, title = '' }: ListFilter,
  ): Promise<ListPage> {
    const { commands, keys } = this.#options
    await this.#catchUp(owner)
    const base = keys.found(owner)
    const { active } = keys.feed(owner)
    const isActive = phase === 'active' || (status !== undefined && !isFinal(status))
    const [kind] = kinds.length === 1 ? kinds : []
    const sets = [
      ...(isActive ? [active] : []),
      ...(tag === undefined ? [] : [`${base}:tag:${tag}`]),
      ...(parent === undefined ? [] : [`${base}:parent:${parent ?? ''}`]),
      ...(status !== undefined && !isActive ? [`${base}:${status}`] : []),
      ...(kind === undefined ? [] : [keys.owned(owner, kind)]),
    ]
    if (sets.length === 0) sets.push(`${base}:all`)
    const isWithout = phase === 'final'
    // The active jobs are in order of their starts, in microseconds. A job starts after its submit.
    const lowest = since === undefined ? '-inf' : String(isActive ? since * 1000 : since)
    const highest = until === undefined || isActive ? '+inf' : String(until)
    const [score = highest, after = ''] = cursor ?? []
    const args = [base, limit, MAX_LOOKED_AT, score, after, lowest, isActive ? '1' : '', foldTitle(title), isWithout ? '1' : '']
    const all = isWithout ? [...sets, active] : sets
    const [next, ids] = await asked(commands.runcastIndexSearch(all.length, ...all, ...args))
    return { ids, ...(next !== '' && { cursor: next }) }
  }

  /** Puts jobs that processes of earlier versions have submitted or ended. */
  async #catchUp(owner: string): Promise<void> {
    const { commands, keys, kinds } = this.#options
    const base = keys.found(owner)
    const isDue = (this.#checked.get(owner) ?? Number.NEGATIVE_INFINITY) < performance.now() - CHECK.everyMs
    for (const kind of kinds) {
      for (let rank = 0, count: number = isDue ? CHECK.step : CHECK.newest; ; rank += count) {
        const [read, missing] = await asked(commands.runcastIndexMissing(`${base}:of`, keys.owned(owner, kind), rank, count))
        await Promise.all(missing.map(async (id) => (await this.put(id, false, owner)) || this.remove(owner, kind, id)))
        // Among the newest there are some: there may be more.
        if (read < count || (!isDue && missing.length === 0)) break
      }
    }
    if (!isDue) return
    const { active } = keys.feed(owner)
    const [open, running] = await asked(Promise.all([commands.zcard(`${base}:open`), commands.zcard(active)]))
    if (open !== running) {
      const ids = await asked(commands.zrange(`${base}:open`, '0', String(CHECK.step - 1)))
      const scores = ids.length > 0 ? await asked(commands.zmscore(active, ...ids)) : []
      await Promise.all(ids.filter((_, i) => scores[i] === null).map((id) => this.put(id, false, owner)))
    }
    this.#checked.delete(owner)
    this.#checked.set(owner, performance.now())
    const [oldest] = this.#checked.keys()
    if (this.#checked.size > CHECK.maxOwners && oldest !== undefined) this.#checked.delete(oldest)
  }

  async #write(id: string, { owner, kind, created_at, parent, status, title, tags }: Facts, isNew: boolean): Promise<void> {
    const names = [
      'all',
      `parent:${parent}`,
      isFinal(status as Status) ? status : 'open', // as the scripts write it
      ...(tags === '' ? [] : (JSON.parse(tags) as string[])).map((tag) => `tag:${tag}`),
    ]
    await this.#put(owner, kind, id, [String(Date.parse(created_at)), isNew ? '1' : '', foldTitle(title), ...names])
  }

  async #put(owner: string, kind: string, id: string, rest: readonly string[]): Promise<void> {
    const { commands, keys, ttlMs, maxListed } = this.#options
    const base = keys.found(owner)
    await asked(commands.runcastIndexPut(`${base}:of`, keys.owned(owner, kind), base, id, ttlMs, maxListed, ...rest))
  }

  async #factsOf(id: string): Promise<Facts | null> {
    const { commands, keys } = this.#options
    const values = await asked(commands.hmget(keys.job(id), ...FACTS))
    if (values[0] === null) return null
    return Object.fromEntries(FACTS.map((name, i) => [name, values[i] ?? ''])) as Facts // each one is there
  }
}
