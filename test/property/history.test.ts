import { strictEqual as equal, notStrictEqual as notEqual, deepStrictEqual as same } from 'node:assert'
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { Redis } from 'ioredis'
import t from 'tap'
import { readEnvelope } from '../../src/storage/envelope.js'
import { redisScripts, type ScriptCommands } from '../../src/storage/redis/scripts.js'
import { startTestRedis } from '../support/redis.js'
import { check } from './check.js'

type Machine = 'a' | 'b' | 'c'

/** What happens to three servers and to two clients that move between them. */
type Step =
  /** Durable entries, by this version or by one that does not name its store. */
  | { readonly do: 'write'; readonly on: Machine; readonly count: number; readonly isOld: boolean }
  /** `on` becomes a replica of `from` and gets what it has. What `from` writes later does not reach it: that is the lag. */
  | { readonly do: 'sync'; readonly on: Machine; readonly from: Machine }
  | { readonly do: 'promote'; readonly on: Machine }
  | { readonly do: 'restart'; readonly on: Machine }
  | { readonly do: 'save'; readonly on: Machine }
  /** A restart with what was saved last: what was written since is lost. */
  | { readonly do: 'restore'; readonly on: Machine }
  /** A client resumes on this server, and its connection may end in the middle of the replay. */
  | { readonly do: 'resume'; readonly on: Machine; readonly client: 0 | 1; readonly share: number }

/** What a server holds: in truth, and the generations that it has had. */
interface Copy {
  readonly entries: readonly string[]
  readonly generations: ReadonlySet<string>
}

interface Server extends Copy {
  /** Of a replica null: it may be promoted at any moment. */
  readonly identity: string | null
}

interface Client {
  readonly epoch: string
  readonly entries: readonly string[]
}

const stepsOf = (on: fc.Arbitrary<Machine>, isOld: fc.Arbitrary<boolean>) =>
  fc.array(
    fc.oneof(
      { weight: 5, arbitrary: fc.record({ do: fc.constant('write' as const), on, count: fc.integer({ min: 1, max: 3 }), isOld }) },
      {
        weight: 5,
        arbitrary: fc.record({
          do: fc.constant('resume' as const),
          on,
          client: fc.constantFrom(0 as const, 1 as const),
          share: fc.constantFrom(0, 0.5, 1),
        }),
      },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('sync' as const), on, from: on }) },
      { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('promote', 'promote', 'restart', 'save', 'restore'), on }) },
    ),
    { maxLength: 30, size: 'max' },
  ) as fc.Arbitrary<Step[]>

/** Writes an entry as a version does that does not know of stores. */
const OLD_WRITE = `${readFileSync(new URL('../../src/storage/redis/lua/append.lua', import.meta.url), 'utf8')}
local f = redis.call('HMGET', KEYS[1], 'generation', 'seq', 'durables')
local job = { generation = f[1], seq = tonumber(f[2]), durables = tonumber(f[3]), round = 1, attempt = 1 }
local event = { class = 'persisted', key = 'value', body = ARGV[1], to = '', clears = '', stamp = '' }
local keys = { hash = KEYS[1], log = KEYS[2], channel = KEYS[3], kept = KEYS[4], lines = KEYS[5], series = KEYS[6] }
return append(keys, job, event, { log = 1000 })`

const redis = await startTestRedis(t)
const commands = new Redis(redis.url, { scripts: { ...redisScripts, oldWrite: { numberOfKeys: 6, lua: OLD_WRITE } } }) as unknown as Redis &
  ScriptCommands & { oldWrite(...args: string[]): Promise<number> } // the scripts as commands
t.teardown(() => commands.disconnect())

let drawn = 0
function draw(): string {
  drawn += 1
  return `${drawn}`.padStart(16, '0')
}

/** The servers of one run; the keys of each are those of one Redis. */
class World {
  readonly #name = randomUUID()
  readonly #servers = new Map<Machine, Server>()
  readonly #saved = new Map<Machine, Copy>()
  readonly #clients: Client[] = []
  /** Where an older version writes as well, no more is replayed than is certain. */
  readonly #hasOld: boolean
  recovered = 0

  constructor(hasOld: boolean) {
    this.#hasOld = hasOld
  }

  async begin(): Promise<void> {
    const generation = draw()
    const body = JSON.stringify({ type: 'status' })
    const record = [
      'run',
      'alice',
      '{}',
      'digest',
      generation,
      '2026-01-01T00:00:00.000Z',
      body,
      1000,
      600_000,
      ...Array<string>(8).fill(''),
    ]
    const identity = draw()
    await commands.runcastCreate(...this.#keys('a').slice(0, 6), `${this.#job('a')}:checkpoint`, identity, ...record)
    if (this.#hasOld) await commands.hdel(this.#job('a'), 'store')
    this.#servers.set('a', { identity, entries: [body], generations: new Set([generation]) })
    for (const machine of ['b', 'c'] as const) await this.take({ do: 'sync', on: machine, from: 'a' })
    for (const client of [0, 1] as const) await this.take({ do: 'resume', on: 'a', client, share: 1 })
  }

  async take(step: Step): Promise<void> {
    const server = this.#servers.get(step.on)
    switch (step.do) {
      case 'write':
        return server?.identity ? this.#write(step.on, server, step) : undefined
      case 'sync': {
        const from = this.#servers.get(step.from)
        if (step.on === step.from || !from) return
        await this.#copy(step.from, step.on)
        this.#servers.set(step.on, { ...from, identity: null })
        return
      }
      case 'promote':
        if (server && server.identity === null) this.#servers.set(step.on, { ...server, identity: draw() })
        return
      case 'restart':
        if (server) this.#servers.set(step.on, { ...server, identity: draw() })
        return
      case 'save':
        if (!server) return
        this.#saved.set(step.on, server)
        return this.#copy(step.on, `${step.on}-saved`)
      case 'restore': {
        const saved = this.#saved.get(step.on)
        if (!saved) return
        await this.#copy(`${step.on}-saved`, step.on)
        this.#servers.set(step.on, { ...saved, identity: draw() })
        return
      }
      case 'resume':
        return server && this.#resume(step.on, server, step)
    }
  }

  async #write(machine: Machine, server: Server, { count, isOld }: Extract<Step, { do: 'write' }>): Promise<void> {
    const bodies = Array.from({ length: count }, () => JSON.stringify({ value: draw() }))
    const keys = this.#keys(machine)
    if (isOld) for (const body of bodies) await commands.oldWrite(...keys.slice(0, 6), body)
    else {
      const events = bodies.flatMap((body) => ['persisted', 'value', body, '', '', '', '', '2026-01-01T00:00:00.000Z', ''])
      const limits = [1000, 100, 600_000, 600_000, 100, 10_000, 64, 1000, count]
      const [outcome] = await commands.runcastPublish(...keys, server.identity ?? '', 1, 0, 0, ...limits, ...events)
      equal(outcome, 'ok')
    }
    const generation = (await commands.hget(this.#job(machine), 'generation')) ?? ''
    const generations = new Set([...server.generations, generation])
    this.#servers.set(machine, { ...server, entries: [...server.entries, ...bodies], generations })
  }

  async #resume(machine: Machine, server: Server, { client, share }: Extract<Step, { do: 'resume' }>): Promise<void> {
    const before = this.#clients[client] ?? { epoch: '', entries: [] }
    const after = before.entries.length
    const [job = '', log = ''] = this.#keys(machine)
    const reply = await commands.runcastReadBuffer(job, log, server.identity ?? draw(), before.epoch, after, 1000)
    if (!reply) throw new Error('the job is gone')
    const missed = reply[3]?.map((envelope) => contentOf(readEnvelope('j', envelope).body.toString()))
    if (missed) {
      this.recovered += 1
      same(before.entries, server.entries.slice(0, after), 'recovered on another history')
      same(missed, server.entries.slice(after), 'what was missed is the rest')
    } else {
      // In one epoch a client takes what it has for a part of what there is.
      notEqual(reply[1].toString(), before.epoch)
      const isLost = !isDeepStrictEqual(before.entries, server.entries.slice(0, after))
      const isKnown = server.generations.has(before.epoch.replace(/-.*/, ''))
      if (isKnown && !isLost && !this.#hasOld) throw new Error(`not recovered from ${before.epoch} ${after}, though nothing was lost`)
    }
    const upTo = missed ? after + Math.ceil(missed.length * share) : server.entries.length
    this.#clients[client] = { epoch: reply[1].toString(), entries: server.entries.slice(0, upTo) }
  }

  #job(machine: string): string {
    return `${this.#name}:${machine}`
  }

  #keys(machine: string): string[] {
    const job = this.#job(machine)
    return [job, ...['log', 'live', 'kept', 'lines', 'series', 'telemetry'].map((name) => `${job}:${name}`)]
  }

  async #copy(from: string, to: string): Promise<void> {
    const [job = '', log = ''] = this.#keys(from)
    const [otherJob = '', otherLog = ''] = this.#keys(to)
    await Promise.all([commands.copy(job, otherJob, 'REPLACE'), commands.copy(log, otherLog, 'REPLACE')])
  }
}

/** A message as it was written, without what the script has added. */
function contentOf(body: string): string {
  return `${body.replace(/(,"attempt":\d+)?,"seq":\d+\}$/, '')}}`
}

async function outcomeOf(steps: readonly Step[], hasOld: boolean): Promise<number> {
  const world = new World(hasOld)
  await world.begin()
  for (const step of steps) await world.take(step)
  return world.recovered
}

const write = (on: Machine, count: number, isOld = false): Step => ({ do: 'write', on, count, isOld })
const sync = (on: Machine, from: Machine): Step => ({ do: 'sync', on, from })
const promote = (on: Machine): Step => ({ do: 'promote', on })
const resume = (on: Machine): Step => ({ do: 'resume', on, client: 0, share: 1 })

t.test('[POS-6] a fail-back to a server that never ended, and to one with entries of an older version', async (t) => {
  const failBack = [
    write('a', 3),
    resume('a'),
    write('a', 3),
    resume('a'),
    promote('b'),
    write('b', 9),
    sync('a', 'b'),
    promote('a'),
    resume('a'),
  ]
  const branch = [write('a', 2), sync('b', 'a'), write('a', 3, true), resume('a'), promote('b'), write('b', 3, true)]
  for (const [steps, hasOld] of [
    [failBack, false],
    [[sync('b', 'a'), ...failBack], false],
    [[...branch, resume('b')], true],
    [[...branch, write('b', 1), resume('b')], true],
  ] as const)
    await t.resolves(outcomeOf(steps, hasOld))
})

t.test('[POS-6] recovered on no other history, and always where nothing was lost', async (t) => {
  let recovered = 0
  const property = fc.asyncProperty(stepsOf(fc.constantFrom('a', 'a', 'b', 'c'), fc.constant(false)), async (steps) => {
    recovered += await outcomeOf(steps, false)
  })
  await check(t, 'history', property, 150)
  t.ok(recovered > 150, `${recovered} resumed`)
})

t.test('[POS-6] with writers of an older version, recovered on no other history', async (t) => {
  const property = fc.asyncProperty(stepsOf(fc.constantFrom('a', 'b'), fc.boolean()), async (steps) => {
    await outcomeOf(steps, true)
  })
  await check(t, 'history-mixed', property, 150)
})
