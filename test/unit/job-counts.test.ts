import t from 'tap'
import { JobCounts } from '../../src/jobs/sweeper/job-counts.js'
import { optimizationKind } from '../../src/kinds/optimization/kind.js'
import { runKind } from '../../src/kinds/run/kind.js'
import type { Status } from '../../src/protocol/status.js'

const ref = (id: string, round = 1) => ({ id, round })
const job = (status: Status, round = 1) => ({ kind: runKind, status, round })
const lines = (census: JobCounts) => census.counts?.map((row) => row.join(' ')).sort() ?? null

t.test('what was looked at counts by kind and status, as it was last seen, once the sweeper has been round', async (t) => {
  const census = new JobCounts()
  census.look(ref('a'), job('queued'))
  census.look(ref('b'), job('queued'))
  census.look(ref('b'), job('running'))
  census.look(ref('c'), { kind: optimizationKind, status: 'running', round: 1 })
  t.equal(lines(census), null, 'not yet')
  census.swept()
  t.same(lines(census), ['optimization running 1', 'run queued 1', 'run running 1'])
})

t.test('what has ended, is of an older round, or leaves counts no more', async (t) => {
  const census = new JobCounts()
  for (const id of ['a', 'b', 'c']) census.look(ref(id), job('running'))
  census.swept()
  census.look(ref('a'), job('completed'))
  census.look(ref('b'), job('queued', 2))
  census.leave(ref('c'))
  t.same(lines(census), [])
})

t.test('what a sweep does not meet may have been passed over: it counts for two more, and then no more', async (t) => {
  const census = new JobCounts()
  census.look(ref('a'), job('running'))
  for (const sweep of [1, 2]) {
    census.swept()
    t.same(lines(census), ['run running 1'], `sweep ${sweep}`)
  }
  census.look(ref('b'), job('running'))
  census.swept()
  t.same(lines(census), ['run running 1'], 'b alone')
})

t.test('when another process sweeps, nothing is told, and nothing of before comes back', async (t) => {
  const census = new JobCounts()
  census.look(ref('a'), job('running'))
  census.swept()
  census.clear()
  t.equal(lines(census), null)
  census.swept()
  t.same(lines(census), [])
})
