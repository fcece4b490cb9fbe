import type { JobRound } from '../job-store.js'

/**
 * Every key and channel of runcast. The braces are the hash tag of Redis Cluster: all keys of one job lie in one slot,
 * so one script can use them. Redis shares channels between all its databases, so channel names of a database other
 * than 0 end with `@` and its number.
 */
export class RedisKeys {
  readonly #prefix: string
  readonly #suffix: string

  constructor(prefix: string, url = '') {
    const database = databaseOf(url)
    this.#prefix = prefix
    this.#suffix = database === 0 ? '' : `@${database}`
  }

  /** Hash: record, counters and the latest entry per key. */
  job(id: string): string {
    return `${this.#prefix}:{${id}}`
  }

  /** Stream of the persisted entries, ids `<seq>-0`. */
  log(id: string): string {
    return `${this.#prefix}:{${id}}:log`
  }

  /** Stream of entries that were trimmed from the log, without those of metrics; the same ids. */
  kept(id: string): string {
    return `${this.#prefix}:{${id}}:kept`
  }

  /** Stream of the job's log lines, ids `<number>-0`. */
  lines(id: string): string {
    return `${this.#prefix}:{${id}}:lines`
  }

  /** Hash: the series of the job's metrics. */
  series(id: string): string {
    return `${this.#prefix}:{${id}}:series`
  }

  /** Every key of a job, the hash first. */
  all(id: string): [job: string, log: string, kept: string, lines: string, series: string, checkpoint: string] {
    return [this.job(id), this.log(id), this.kept(id), this.lines(id), this.series(id), this.checkpoint(id)]
  }

  /** Hash: the checkpoint of a job that runs in steps. */
  checkpoint(id: string): string {
    return `${this.#prefix}:{${id}}:checkpoint`
  }

  /** Channel of all entries. */
  live(id: string): string {
    return this.#channel(`{${id}}:live`)
  }

  /** Channel of what a job reports beside entries: log lines and series. */
  telemetry(id: string): string {
    return this.#channel(`{${id}}:telemetry`)
  }

  /** Sorted set of a user's jobs of one kind, by submit time. */
  owned(owner: string, kind: string): string {
    return `${this.#prefix}:user:{${owner}}:${kind}`
  }

  /** Prefix of the index in which a user's jobs are found. A colon is in no name of a kind. */
  found(owner: string): string {
    return `${this.#prefix}:user:{${owner}}:by`
  }

  /** Memory of a user's jobs: a hash of their sizes, and a sorted set of their expiry times. */
  stored(owner: string): [sizes: string, ends: string] {
    const base = `${this.#prefix}:stored:{${owner}}`
    return [base, `${base}:ends`]
  }

  /** What a user has stored as artifacts: a hash by job and upload, and a sorted set of the uploads by their expiry. */
  artifactQuota(owner: string): [sizes: string, uploads: string] {
    const base = `${this.#prefix}:artifacts:{${owner}}`
    return [base, `${base}:uploads`]
  }

  /**
   * Keys about the artifacts of all jobs, in one slot: the expiry index (a sorted set of `<id>/<generation>`) with the
   * owners of its jobs (a hash), the identity of the store, the process that removes artifacts, and when the store was
   * last compared with Redis.
   */
  artifacts(): ArtifactKeys {
    const base = `${this.#prefix}:{artifacts}:`
    return {
      due: `${base}due`,
      owners: `${base}owners`,
      marker: `${base}store`,
      sweeper: `${base}sweeper`,
      reconciled: `${base}reconciled`,
    }
  }

  /**
   * The active-jobs index of a user: sorted sets of active and of recently ended jobs, the counter of index changes,
   * and the channel.
   */
  feed(owner: string): { active: string; ended: string; count: string; channel: string } {
    const user = `${this.#prefix}:user:{${owner}}`
    return { active: `${user}:active`, ended: `${user}:ended`, count: `${user}:count`, channel: this.#channel(`user:{${owner}}:live`) }
  }

  /** Sorted set of the executions that have not ended, `<id>~<round>`, by the time of the last check by the sweeper. */
  active(): string {
    return `${this.#prefix}:active`
  }

  /** String: the process that sweeps. */
  sweeper(): string {
    return `${this.#prefix}:sweeper`
  }

  /**
   * Keys of the fair scheduler, in one slot. `scheduler.lua` describes each key. `base` is the prefix of all of them.
   */
  scheduler(): SchedulerKeys {
    const base = `${this.#prefix}:{gate}:`
    return {
      base,
      waiting: `${base}waiting`,
      admitted: `${base}admitted`,
      queues: `${base}queues`,
      delayed: `${base}delayed`,
      window: (queue) => `${base}window:${queue}`,
      hour: (owner) => `${base}hour:${owner}`,
    }
  }

  /** Sorted set of a user's sockets over all nodes, by the expiry of their leases. */
  sockets(sub: string): string {
    return `${this.#prefix}:sockets:{${sub}}`
  }

  /** String: the lease of a hub. It exists while the hub is alive. */
  node(nodeId: string): string {
    return `${this.#prefix}:node:${nodeId}`
  }

  /** Processes that are alive: a sorted set by the end of their leases, and a hash of their entries. */
  processes(): [ends: string, entries: string] {
    const base = `${this.#prefix}:{processes}:`
    return [`${base}ends`, `${base}entries`]
  }

  /** Channel on which a hub asks all hubs about their sessions. */
  hubs(): string {
    return this.#channel('hubs')
  }

  /** Channel on which a hub gets the answers to its questions. */
  answers(nodeId: string): string {
    return this.#channel(`answers:${nodeId}`)
  }

  /** Hash of the revocations. */
  revocations(): string {
    return `${this.#prefix}:{revocations}:entries`
  }

  /** Sorted set of the revocations, by the time when each may be removed. */
  revocationEnds(): string {
    return `${this.#prefix}:{revocations}:ends`
  }

  /** Hash of the revocations: when each was revoked and undone. */
  revocationMarks(): string {
    return `${this.#prefix}:{revocations}:marks`
  }

  /** String that changes with each revocation. */
  revocationVersion(): string {
    return `${this.#prefix}:{revocations}:version`
  }

  /** Channel of revocations. */
  revoked(): string {
    return this.#channel('{revocations}:news')
  }

  /** Channel on which hubs ask workers to cancel. */
  control(): string {
    return this.#channel('control')
  }

  /** Channel on which a node receives its own probes. */
  probe(nodeId: string): string {
    return this.#channel(`probe:${nodeId}`)
  }

  /** String: written by a node to prove that it can write. */
  scratch(nodeId: string): string {
    return `${this.#prefix}:scratch:${nodeId}`
  }

  /** Prefix of BullMQ's keys, hash-tagged as its scripts need it in a cluster. */
  queues(): string {
    return `{${this.#prefix}:queue}`
  }

  #channel(name: string): string {
    return `${this.#prefix}:${name}${this.#suffix}`
  }
}

/** Keys of the fair scheduler that are used outside its scripts. */
export interface SchedulerKeys {
  readonly base: string
  readonly waiting: string
  readonly admitted: string
  readonly queues: string
  readonly delayed: string
  window(queue: string): string
  /** Sorted set of the executions that a user has submitted in the last hour, by time. */
  hour(owner: string): string
}

/** Keys about the artifacts of all jobs. */
export type ArtifactKeys = Readonly<Record<'due' | 'owners' | 'marker' | 'sweeper' | 'reconciled', string>>

/** The database number in a URL. */
export function databaseOf(url: string): number {
  const [, path, query] = /^rediss?:\/\/[^/?]*\/?(\d*)(?:\?(.*))?$/.exec(url) ?? []
  return Number(path || new URLSearchParams(query).get('db')) || 0
}

/** An execution as a member of a set. Ids contain no tilde. */
export function memberOf({ id, round }: JobRound): string {
  return `${id}~${round}`
}

export function roundOf(member: string): JobRound {
  const at = member.indexOf('~')
  return { id: member.slice(0, at), round: Number(member.slice(at + 1)) }
}
