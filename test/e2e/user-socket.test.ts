import { Redis } from 'ioredis'
import t from 'tap'
import { controlWriter, type JobEvent } from '../../src/core/entry.js'
import { runEvents } from '../../src/core/run-events.js'
import { eventually } from '../support/eventually.js'
import { startHarness } from '../support/harness.js'
import { proveProcesses } from '../support/process-proof.js'
import { startTestRedis } from '../support/redis.js'
import { Stage } from '../support/stage.js'
import { hasEnded, messagesOf, openTab, submit } from '../support/tab.js'

t.setTimeout(120_000)

t.test('[PROC-5] [POS-7] subscriptions of the nodes that are killed while jobs begin and end: every tab has everything', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { redis: await startTestRedis(t), nodes: 2, processor: stage.processor, env: { QUIET_MS: '60000' } })
  const tabs = [await openTab(h), await openTab(h, 1)]
  const admin = new Redis(h.redis.url)
  t.teardown(() => admin.disconnect())
  const ids: string[] = []
  for (let round = 0; round < 6; round += 1) {
    const id = `in-the-dark-${round}`
    ids.push(id)
    const killing = admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await submit(h, id, { node: round % 2 })
    await killing
    await stage.perform(id, 3)
  }
  for (const tab of tabs) for (const id of ids) await eventually(() => hasEnded(tab, id), { timeoutMs: 30_000 })
  for (const tab of tabs) {
    proveProcesses(tab.messages)
    for (const id of ids) {
      const types = messagesOf(tab, id)
        .map(({ type }) => type)
        .filter((type) => type !== 'process_progress')
      t.same(types, ['process_queued', 'process_started', 'process_completed'], id)
    }
  }
})

t.test('[POS-6] [PROC-5] a Redis that is started anew: each process goes on in a new epoch, and the next one is announced', async (t) => {
  const h = await startHarness(t, { redis: await startTestRedis(t), nodes: 2, processor: null })
  const tabs = [await openTab(h), await openTab(h, 1)]
  const id = await submit(h, 'before')
  for (const tab of tabs) await tab.next('process_queued')
  await h.redis.restart()
  const next = await eventually(() => submit(h, 'after', { node: 1 }))
  await eventually(async () => (await h.call('POST', `/api/v2/runs/${id}/cancel`)).status === 202)
  const epochs = await Promise.all(tabs.map(async (tab) => (await tab.next('subscribed')).epoch))
  t.equal(new Set(epochs).size, 1)
  for (const tab of tabs) {
    await eventually(() => messagesOf(tab, next).some(({ type }) => type === 'process_queued'))
    t.match(
      tab.messages.findLast(({ type }) => type === 'subscribed'),
      { process_id: id, recovered: true, process: { status: 'cancelled' } },
    )
    t.equal(messagesOf(tab, id).filter(({ type }) => type === 'process_cancelled').length, 1)
    proveProcesses(tab.messages)
  }
})

t.test('[PROC-8] [SLOW-2] [SLOW-4] a slow reader gets a resync, and the ends of all its processes', async (t) => {
  const slow = await startHarness(t, { processor: null, env: { MAX_OUTBOX_BYTES: '65536', SWEEP_INTERVAL_MS: '600000' } })
  const [tab, fast] = [await openTab(slow), await openTab(slow)]
  tab.pause()
  const ids = await Promise.all(Array.from({ length: 6 }, (_, i) => submit(slow, `slow-${i}`)))
  const { broker, feeds } = slow.nodes[0]?.hub.parts ?? {}
  const publish = (id: string, ...events: JobEvent[]) => broker?.publish(id, events, controlWriter(1))
  // Some 10 MB: more than the kernel's buffers take for a client that does not read.
  const reason = 'x'.repeat(1000)
  const pauses = (id: string) => Array.from({ length: 40 }, (_, i) => runEvents.status(id, i % 2 ? 'running' : 'paused', reason))
  for (const id of ids) await publish(id, runEvents.status(id, 'running'))
  for (let i = 0; i < 40; i += 1) for (const id of ids) await publish(id, ...pauses(id))
  const sessions = [...(slow.nodes[0]?.hub.server.sessions ?? [])]
  t.ok(Math.max(...sessions.map(({ backlogBytes }) => backlogBytes)) <= 3 * 65_536, 'bounded')
  for (const id of ids) {
    await publish(id, runEvents.completed(id, { compute_time_s: 1, metrics_summary: {} }, {}))
    await feeds?.remove('alice', id)
  }
  for (const id of ids) await eventually(() => hasEnded(fast, id), { timeoutMs: 30_000 })
  tab.resume()
  for (const id of ids) await eventually(() => hasEnded(tab, id), { timeoutMs: 30_000 })
  t.ok(tab.messages.some(({ type, resync }) => type === 'process_list' && resync === true))
  t.ok(tab.messages.length < fast.messages.length)
  for (const client of [tab, fast]) proveProcesses(client.messages)
  for (const id of ids) t.equal(messagesOf(tab, id).filter(({ type }) => type === 'process_completed').length, 1, 'once')
  t.equal(tab.socket.readyState, 1, 'being slow does not disconnect')
  t.same(slow.faults, [])
})
