import { deepStrictEqual as deepEqual } from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import type { JobEvent, Writer } from '../../src/core/entry.js'
import { STATUSES } from '../../src/protocol/status.js'
import { type Backend, openMemory, openRedis, readable } from '../contract/backend.js'
import { entering, metric, newJob, progress } from '../contract/test-job.js'
import { eventually } from '../support/eventually.js'
import { sharedTestRedis } from '../support/redis.js'
import { check } from './check.js'
import { type Answer, JobModel } from './model.js'

interface Write {
  readonly events: readonly JobEvent[]
  readonly writer: Writer
}

const ID = 'job-1'
const CREATED_AT = '2026-03-01T10:00:00.000Z'
const FIRST = entering(ID, 'queued')

/** Mostly what really happens to jobs, and anything else the rules must hold against. */
const event: fc.Arbitrary<JobEvent> = fc.oneof(
  fc.integer({ min: 0, max: 100 }).map((percent) => progress(ID, percent)),
  fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.integer()).map(([name, value]) => metric(ID, name, value)),
  fc
    .record(
      {
        to: fc.constantFrom(...STATUSES, 'running' as const, 'running' as const, 'retrying' as const),
        clears: fc.constantFrom('attempt' as const, 'round' as const),
        optional: fc.boolean(),
        from: fc.subarray([...STATUSES]),
      },
      { requiredKeys: ['to'] },
    )
    .map(({ to, from, ...rest }) => ({ ...entering(ID, to), ...rest, ...(from && { from }) })),
)

const write: fc.Arbitrary<Write> = fc.record({
  events: fc.oneof(
    { weight: 4, arbitrary: fc.array(event, { minLength: 1, maxLength: 4 }) },
    { weight: 1, arbitrary: fc.constant([{ ...entering(ID, 'queued'), clears: 'round' as const }]) },
  ),
  writer: fc.record({
    round: fc.integer({ min: 1, max: 3 }),
    token: fc.constantFrom(0, 1, 1, 1, 1, 1, 2),
    n: fc.integer({ min: 0, max: 12 }),
  }),
})

/** Most writers mean the round that there is; some tokens and numbers are right by chance, some are not. */
function inRound(writes: readonly Write[]): Write[] {
  const model = new JobModel()
  return writes.map(({ events, writer }, i) => {
    const opens = events[0]?.clears === 'round' ? 1 : 0
    const aimed = i % 5 === 4 ? writer : { ...writer, round: model.round + opens }
    model.publish(events, aimed)
    return { events, writer: aimed }
  })
}

const writes = fc.array(write, { maxLength: 40, size: 'max' }).map(inRound)

const seqOf = (entry: { seq: number }) => entry.seq
const keyAndSeq = (entry: { key: string; seq: number }) => [entry.key, entry.seq]

/** What a broker makes of these writes: its answers, and all that a reader and a subscriber see in the end. */
async function outcomeOf({ broker, store }: Backend, all: readonly Write[], generation: string) {
  const job = newJob({ generation, created_at: CREATED_AT })
  const delivered: ReturnType<typeof readable>[] = []
  broker.listen({ entry: (entry) => entry.id === job.id && delivered.push({ ...readable(entry), id: ID }), gap: () => {} })
  await broker.subscribe(job.id)
  await store.create(job, FIRST)
  const answers: Answer[] = []
  for (const { events, writer } of all) {
    const answer = await broker.publish(job.id, events, writer)
    answers.push([answer.ok ? answer.seq : answer.reason, answer.status ?? 'queued'])
  }
  const state = (await broker.read(job.id))?.state
  if (!state) throw new Error('the job is gone')
  await eventually(() => delivered.length >= state.seq, { everyMs: 1 })
  await broker.unsubscribe(job.id)
  // The silence is told by two clocks.
  const { id: _id, epoch, latest, sinceHeartbeatMs: _silentMs, ...record } = state
  const page = await store.history(job.id, 0, 1000)
  const missed = (await broker.read(job.id, { epoch, seq: Math.floor(state.seq / 2) }))?.missed
  return {
    answers,
    record,
    latest: [...latest.values()].map((entry) => ({ ...readable(entry), id: ID })),
    log: page?.entries.map((entry) => ({ ...readable(entry), id: ID })),
    missed: missed?.map((entry) => ({ ...readable(entry), id: ID })),
    delivered,
  }
}

type Outcome = Awaited<ReturnType<typeof outcomeOf>>

/** Throws where an outcome is not what the model says. */
function assertModelled(all: readonly Write[], { answers, record, latest, log, missed, delivered }: Outcome): void {
  const model = new JobModel()
  deepEqual(
    answers,
    all.map(({ events, writer }) => model.publish(events, writer)),
  )
  const { status, round, attempt, token, seq } = model
  deepEqual(
    { status: record.status, round: record.round, attempt: record.attempt, token: record.token, seq: record.seq },
    { status, round, attempt, token, seq },
  )
  deepEqual(latest.map(keyAndSeq), model.latest)
  deepEqual(log?.map(seqOf), model.log)
  deepEqual(
    delivered.map(seqOf),
    Array.from({ length: seq }, (_, i) => i + 1),
  )
  const half = Math.floor(seq / 2)
  const ticks = model.latest.filter(([key, at]) => key === 'progress' && at > half).map(([, at]) => at)
  deepEqual(
    missed?.map(seqOf),
    [...model.log.filter((at) => at > half), ...ticks].sort((a, b) => a - b),
  )
}

t.test('[STATE-1] [STATE-2] [STATE-3] [STATE-4] [STATE-5] in memory: any writes by any writers come to what the model says', async (t) => {
  const property = fc.asyncProperty(writes, async (all) => assertModelled(all, await outcomeOf(openMemory(t), all, 'g')))
  await check(t, 'broker-memory', property, 500)
})

t.test('[STATE-1] [STATE-2] [STATE-3] [STATE-4] [STATE-5] on Redis: the same, and byte for byte as in memory', async (t) => {
  const { url } = await sharedTestRedis()
  const onRedis = openRedis(t, url)
  const property = fc.asyncProperty(writes, async (all) => {
    const outcome = await outcomeOf(onRedis, all, 'g')
    assertModelled(all, outcome)
    deepEqual(outcome, await outcomeOf(openMemory(t), all, 'g'))
  })
  await check(t, 'broker-redis', property, 150)
})
