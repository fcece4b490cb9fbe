import t from 'tap'
import { FINAL_STATUSES, isFinal, isStatus, mayEnter, SOURCES, STAMPS, STATUSES } from '../../src/protocol/status.js'
import { EDGES, WAYS } from '../contract/rule-state-1.js'

t.test('[STATE-1] the table has the edges of the rule and no others', async (t) => {
  for (const from of STATUSES) for (const to of STATUSES) t.equal(mayEnter(from, to), EDGES[from].includes(to), `${from} → ${to}`)
  t.same(Object.keys(SOURCES).toSorted(), STATUSES.toSorted())
  for (const [to, sources] of Object.entries(SOURCES)) t.equal(new Set(sources).size, sources.length, `${to} names each source once`)
})

t.test('[STATE-2] a final state is left by an explicit retry alone, a completed job not at all', async (t) => {
  t.same(STATUSES.filter(isFinal), [...FINAL_STATUSES])
  for (const from of FINAL_STATUSES) {
    const next = STATUSES.filter((to) => mayEnter(from, to))
    t.same(next, from === 'completed' ? [] : ['queued'], from)
  }
})

t.test('[STATE-1] every state is reached, and from each one that is not final an end is reached', async (t) => {
  for (const status of STATUSES) {
    let at = 'queued'
    for (const step of WAYS[status]) {
      t.ok(isStatus(at) && mayEnter(at, step), `${at} → ${step}`)
      at = step
    }
    t.equal(at, status)
    t.ok(isFinal(status) || FINAL_STATUSES.some((end) => mayEnter(status, end)), `${status} can end`)
  }
})

t.test('[CONN-6] a job starts when it first runs and finishes when it is final', async (t) => {
  t.same(STAMPS, { running: 'started_at', completed: 'finished_at', failed: 'finished_at', cancelled: 'finished_at' })
})

t.test('a status is one of the list, in its exact spelling', async (t) => {
  for (const status of STATUSES) t.ok(isStatus(status))
  for (const text of ['', 'Queued', 'running ', '-', 'constructor', 'toString']) t.notOk(isStatus(text), text)
})
