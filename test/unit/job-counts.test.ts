import t from 'tap'
import { JobCounts } from '../../src/jobs/sweeper/job-counts.js'
import { optimizationKind } from '../../src/kinds/optimization/kind.js'
import { runKind } from '../../src/kinds/run/kind.js'
import type { Status } from '../../src/protocol/status.js'

const ref = (id: string, round = 1) => ({ id, round })
const job = (status: Status, round = 1) => ({ kind: runKind, status, round })
const lines = (counts: JobCounts) => counts.counts?.map((row) => row.join(' ')).sort() ?? null

t.test('what was looked at counts by kind and status, as it was last seen, once the sweeper has been round', async (t) => {
  const counts = new JobCounts()
  counts.observe(ref('a'), job('queued'))
  counts.observe(ref('b'), job('queued'))
  counts.observe(ref('b'), job('running'))
  counts.observe(ref('c'), { kind: optimizationKind, status: 'running', round: 1 })
  t.equal(lines(counts), null, 'not yet')
  counts.swept()
  t.same(lines(counts), ['optimization running 1', 'run queued 1', 'run running 1'])
})

t.test('what has ended, is of an older round, or leaves counts no more', async (t) => {
  const counts = new JobCounts()
  for (const id of ['a', 'b', 'c']) counts.observe(ref(id), job('running'))
  counts.swept()
  counts.observe(ref('a'), job('completed'))
  counts.observe(ref('b'), job('queued', 2))
  counts.leave(ref('c'))
  t.same(lines(counts), [])
})

t.test('what a sweep does not meet may have been passed over: it counts for two more, and then no more', async (t) => {
  const counts = new JobCounts()
  counts.observe(ref('a'), job('running'))
  for (const sweep of [1, 2]) {
    counts.swept()
    t.same(lines(counts), ['run running 1'], `sweep ${sweep}`)
  }
  counts.observe(ref('b'), job('running'))
  counts.swept()
  t.same(lines(counts), ['run running 1'], 'b alone')
})

t.test('when another process sweeps, nothing is told, and nothing of before comes back', async (t) => {
  const counts = new JobCounts()
  counts.observe(ref('a'), job('running'))
  counts.swept()
  counts.clear()
  t.equal(lines(counts), null)
  counts.swept()
  t.same(lines(counts), [])
})
