import t from 'tap'
import { eventually } from '../support/eventually.js'
import { startHarness } from '../support/harness.js'
import type { RunProcessor } from '../support/kinds.js'

const METRICS = 60_000
const LIMIT = 65_536

/** Some 12 MB of durable entries: more than the kernel's buffers take for a client that does not read. */
const chatty: RunProcessor = async (_input, job) => {
  for (let i = 0; i < METRICS; i += 1) {
    job.metric(`m${i % 50}`, i, 'Hz')
    if (i % 200 === 0) {
      job.progress({ percent: (100 * i) / METRICS, phase: 'solving', message: `${i}/${METRICS}` })
      await job.flush()
    }
    if (job.signal.aborted) throw job.signal.reason
  }
  return { metrics_summary: { count: METRICS } }
}

t.test('[SLOW-2] [SLOW-4] a client that stops reading while a run streams: memory bounded, resync, the right final state', async (t) => {
  const harness = await startHarness(t, {
    processor: chatty,
    env: { MAX_OUTBOX_BYTES: String(LIMIT), MAX_LOG_ENTRIES: '1000', MAX_SERIES: '1' },
  })
  const id = await harness.submit()
  const [slow, fast] = [await harness.connect(id), await harness.connect(id)]
  await slow.next('status')
  slow.pause()
  let highest = 0
  const sampling = setInterval(() => {
    for (const session of harness.nodes[0]?.hub.server.sessions ?? []) highest = Math.max(highest, session.backlogBytes)
  }, 5)
  const completed = await fast.next('completed')
  clearInterval(sampling)
  t.ok(highest > 0, 'the socket did fill')
  t.ok(highest <= LIMIT + 2 * 65_536, `at most ${highest} bytes waited`)
  slow.resume()
  const final = await slow.next('completed')
  t.same(final, completed, 'the same final message')
  const resync = slow.messages.findLast((message) => message.resync)
  t.match(resync, { type: 'status', resync: true, recovered: false })
  t.equal(slow.messages.at(-1).type, 'completed')
  const updates = fast.messages.filter(({ type }) => type === 'metric_update')
  t.same(resync.metrics, Object.fromEntries(updates.map(({ metric_name, value, unit }) => [metric_name, { value, unit }])))
  t.equal(slow.socket.readyState, 1, 'being slow does not disconnect')
  await eventually(() => [...(harness.nodes[0]?.hub.server.sessions ?? [])].every((session) => session.backlogBytes === 0))
  t.same(harness.faults, [])
})

t.test('[SLOW-3] a client that drains nothing is disconnected, and others are not disturbed', async (t) => {
  const harness = await startHarness(t, { processor: chatty, env: { MAX_OUTBOX_BYTES: String(LIMIT), STALL_MS: '1000', MAX_SERIES: '1' } })
  const id = await harness.submit()
  const [dead, fast] = [await harness.connect(id), await harness.connect(id)]
  await dead.next('status')
  dead.pause()
  await fast.next('completed')
  await eventually(() => harness.nodes[0]?.hub.server.sessions.size === 1)
  t.same(harness.faults, [])
})
