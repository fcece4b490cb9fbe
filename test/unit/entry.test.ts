import t from 'tap'
import { type Clears, controlWriter, type Entry, isCleared, messageOf } from '../../src/core/entry.js'
import { advance, type JobState } from '../../src/core/job-state.js'
import { runKind } from '../../src/kinds/run/kind.js'
import type { Status } from '../../src/protocol/status.js'

function fresh(): JobState {
  const record = { id: 'job', kind: runKind, owner: 'alice', input: '{}', generation: 'g', epoch: 'g.r' } as const
  const counters = {
    status: 'queued' as Status,
    round: 1,
    attempt: 1,
    timeoutMs: 3600_000,
    solver: null,
    parent: null,
    token: 0,
    n: 0,
    sinceHeartbeatMs: null,
    stale: false,
    seq: 0,
    latest: new Map(),
  }
  return { ...record, ...counters, created_at: '2026-03-01T10:00:00.000Z', started_at: null, finished_at: null }
}

function entry(seq: number, key: string, { to, clears, second = 0 }: { to?: Status; clears?: Clears; second?: number } = {}): Entry {
  const timestamp = `2026-03-01T10:00:0${second}.000Z`
  const head = { id: 'job', generation: 'g', seq, key, class: 'persisted', ...(to && { to }), ...(clears && { clears }) } as const
  return { ...head, body: Buffer.from(JSON.stringify({ type: 'x', timestamp, seq })) }
}

t.test('[STATE-5] a new attempt makes progress and metrics void, a new round the final entry too, neither the status', async (t) => {
  const cleared = (clears: Clears) =>
    ['progress', 'metric:a', 'metric:final', 'final', 'status', 'metrics', 'own'].filter((key) => isCleared(key, clears, ['own']))
  t.same(cleared('attempt'), ['progress', 'metric:a', 'metric:final', 'own'])
  t.same(cleared('round'), ['progress', 'metric:a', 'metric:final', 'final', 'own'])
})

t.test('the control plane writes without token and number', async (t) => {
  t.same(controlWriter(3), { round: 3, token: 0, n: 0 })
})

t.test('[STATE-5] folding entries clears what they make void and counts attempts and rounds', async (t) => {
  const state = fresh()
  advance(state, entry(1, 'status', { to: 'running', second: 1 }))
  advance(state, entry(2, 'progress'))
  advance(state, entry(3, 'metric:a'))
  t.same([...state.latest.keys()], ['status', 'progress', 'metric:a'])
  advance(state, entry(4, 'status', { to: 'retrying', clears: 'attempt' }))
  t.match(state, { attempt: 2, round: 1, status: 'retrying', seq: 4 })
  t.same([...state.latest.keys()], ['status'])
  advance(state, entry(5, 'metric:a'))
  advance(state, entry(6, 'final', { to: 'failed', second: 2 }))
  t.match(state, { status: 'failed', started_at: '2026-03-01T10:00:01.000Z', finished_at: '2026-03-01T10:00:02.000Z' })
  advance(state, entry(7, 'status', { to: 'queued', clears: 'round' }))
  t.match(state, { attempt: 1, round: 2, status: 'queued', started_at: null, finished_at: null, seq: 7 })
  t.same([...state.latest.keys()], ['status'])
})

t.test('[CONN-6] a round starts once, however often its job comes to run', async (t) => {
  const state = fresh()
  for (const [i, to] of (['running', 'queued', 'running'] as const).entries()) advance(state, entry(i + 1, 'status', { to, second: i + 1 }))
  t.equal(state.started_at, '2026-03-01T10:00:01.000Z')
})

t.test('[CONN-5] the latest entries stay in the order of their seq', async (t) => {
  const state = fresh()
  for (const [i, key] of ['status', 'progress', 'metric:a', 'progress', 'status', 'metric:b'].entries()) advance(state, entry(i + 1, key))
  t.same(
    [...state.latest].map(([key, { seq }]) => [key, seq]),
    [
      ['metric:a', 3],
      ['progress', 4],
      ['status', 5],
      ['metric:b', 6],
    ],
  )
})

t.test('a message is read from the bytes of its entry', async (t) => {
  t.same(messageOf(entry(5, 'progress', { second: 4 })), { type: 'x', timestamp: '2026-03-01T10:00:04.000Z', seq: 5 })
})
