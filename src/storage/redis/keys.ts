import type { JobRound } from '../job-store.js'

/**
 * Every key and channel of runcast. The braces are the hash tag of Redis Cluster: all keys of one job lie in one slot, so one script may hold them.
 * Redis has one set of channels for all its databases, so the names of those of another database than 0 end with `@` and its number.
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

  /** Stream of the durable entries, ids `<seq>-0`. */
  log(id: string): string {
    return `${this.#prefix}:{${id}}:log`
  }

  /** Hash: where a job that goes on in steps stands. */
  checkpoint(id: string): string {
    return `${this.#prefix}:{${id}}:checkpoint`
  }

  /** Channel of all entries. */
  live(id: string): string {
    return this.#channel(`{${id}}:live`)
  }

  /** Sorted set of a user's jobs of one kind, by time of submit. */
  owned(owner: string, kind: string): string {
    return `${this.#prefix}:user:{${owner}}:${kind}`
  }

  /** What a user's jobs take of Redis: a hash of their sizes, and a sorted set of when they expire. */
  stored(owner: string): [sizes: string, ends: string] {
    const base = `${this.#prefix}:stored:{${owner}}`
    return [base, `${base}:ends`]
  }

  /** What a user has: sorted sets of the jobs that run and of the last that have ended, the count of index changes, their channel. */
  feed(owner: string): { active: string; ended: string; count: string; channel: string } {
    const user = `${this.#prefix}:user:{${owner}}`
    return { active: `${user}:active`, ended: `${user}:ended`, count: `${user}:count`, channel: this.#channel(`user:{${owner}}:live`) }
  }

  /** Sorted set of the rounds that have not ended, `<id>~<round>`, by the time of the sweeper's last look. */
  active(): string {
    return `${this.#prefix}:active`
  }

  /** Text: which process sweeps. */
  sweeper(): string {
    return `${this.#prefix}:sweeper`
  }

  /** The fair scheduler, in one slot; `scheduler.lua` says what each key holds. `base` begins them all. */
  scheduler(): SchedulerKeys {
    const base = `${this.#prefix}:{gate}:`
    return {
      base,
      waiting: `${base}waiting`,
      admitted: `${base}admitted`,
      queues: `${base}queues`,
      window: (queue) => `${base}window:${queue}`,
      hour: (owner) => `${base}hour:${owner}`,
    }
  }

  /** Sorted set of a user's sockets over all nodes, by the ends of their leases. */
  sockets(sub: string): string {
    return `${this.#prefix}:sockets:{${sub}}`
  }

  /** Text: the lease of a hub, which is there while the hub lives. */
  node(nodeId: string): string {
    return `${this.#prefix}:node:${nodeId}`
  }

  /** Hash of what was revoked. */
  revocations(): string {
    return `${this.#prefix}:{revocations}:entries`
  }

  /** Sorted set of the same, by when each may be forgotten. */
  revocationEnds(): string {
    return `${this.#prefix}:{revocations}:ends`
  }

  /** Hash of the same: when each was revoked and undone. */
  revocationMarks(): string {
    return `${this.#prefix}:{revocations}:marks`
  }

  /** Text that changes with each revocation. */
  revocationVersion(): string {
    return `${this.#prefix}:{revocations}:version`
  }

  /** Channel of revocations. */
  revoked(): string {
    return this.#channel('{revocations}:news')
  }

  /** Channel on which hubs tell workers to cancel. */
  control(): string {
    return this.#channel('control')
  }

  /** Channel on which a node hears itself: its probe of life. */
  probe(nodeId: string): string {
    return this.#channel(`probe:${nodeId}`)
  }

  /** Text: written by a node to prove that it can write. */
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

/** The fair scheduler's keys that are named outside its scripts. */
export interface SchedulerKeys {
  readonly base: string
  readonly waiting: string
  readonly admitted: string
  readonly queues: string
  window(queue: string): string
  /** Sorted set of the rounds that a user has submitted in the last hour, by time. */
  hour(owner: string): string
}

/** The number of the database that a URL names. */
export function databaseOf(url: string): number {
  const [, path, query] = /^rediss?:\/\/[^/?]*\/?(\d*)(?:\?(.*))?$/.exec(url) ?? []
  return Number(path || new URLSearchParams(query).get('db')) || 0
}

/** A round as a member of a set; an id holds no tilde. */
export function memberOf({ id, round }: JobRound): string {
  return `${id}~${round}`
}

export function roundOf(member: string): JobRound {
  const at = member.indexOf('~')
  return { id: member.slice(0, at), round: Number(member.slice(at + 1)) }
}
