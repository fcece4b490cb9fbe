import t from 'tap'
import { eventually } from '../support/eventually.js'
import { startHarness } from '../support/harness.js'
import type { Inbox, Message } from '../support/inbox.js'
import { startTestRedis } from '../support/redis.js'
import { SseClient } from '../support/sse-client.js'
import { Stage } from '../support/stage.js'
import { messagesOf, openTab } from '../support/tab.js'
import { Watcher } from '../support/watcher.js'

/** Seqs of the persisted entries behind the first snapshot, as they came. */
function persistedSeqsOf({ messages }: Inbox): number[] {
  const since = messages[0].seq
  return messages.flatMap(({ type, seq, recovered }: Message) => (seq > since && recovered === undefined && type !== 'progress' ? seq : []))
}

t.test('[POS-6] Redis is killed and comes back with all it had: every watcher has every entry once', async (t) => {
  const stage = new Stage()
  const env = { WORKER_LOCK_MS: '30000', QUIET_MS: '600000' }
  const h = await startHarness(t, { redis: await startTestRedis(t), nodes: 2, processor: stage.processor, env })
  const id = await h.submit()
  const play = await stage.play(id)
  const clients: Inbox[] = []
  for (const node of [0, 1]) {
    const sse = new SseClient(`${h.nodes[node]?.http}/api/v2/runs/${id}/events`, {
      headers: { authorization: `Bearer ${h.token('alice')}` },
    })
    clients.push(await h.connect(id, { node }), sse)
  }
  const watchers = [0, 1].map((node) => new Watcher(h, id, () => node))
  const tabs = [await openTab(h), await openTab(h, 1)]
  for (const client of clients) await client.next('status')
  for (const { watch } of watchers) await watch.until(() => true)

  let written = 0
  const write = () => {
    written += 1
    play.job.metric('f', written, 'Hz')
    if (written % 3 === 0) play.job.progress({ percent: written / 10, phase: 'solving', message: `${written}` })
  }
  const timer = setInterval(() => written < 700 && write(), 12)
  t.teardown(() => clearInterval(timer))
  const writeMore = async (count: number) => {
    const before = written
    await eventually(() => written >= before + count)
  }
  for (let restarts = 0; restarts < 3; restarts += 1) {
    await writeMore(10)
    await h.redis.kill()
    // They wait at the worker, or come back before the hubs do.
    await writeMore(10 * restarts)
    await h.redis.restart()
    await play.job.flush()
  }
  clearInterval(timer)
  // A restart without a write in between, and one more entry.
  await h.redis.restart()
  await eventually(async () => (await h.call('GET', '/readyz', { token: null })).status === 200)
  write()
  play.complete({ written })
  for (const client of clients) await client.next('completed')
  for (const { watch } of watchers) await watch.finished()

  const { body } = await eventually(async () => {
    const answer = await h.call('GET', `/api/v2/runs/${id}/events?limit=1000`)
    return answer.status === 200 && answer
  })
  const log: number[] = body.events.map(({ seq }: Message) => seq)
  t.equal(body.events.filter(({ type }: Message) => type === 'metric_update').length, written)
  for (const client of clients) {
    const [first] = client.messages
    const wanted = log.filter((seq) => seq > first.seq)
    t.same(persistedSeqsOf(client), wanted)
    const epochs = new Set(client.messages.flatMap(({ epoch }) => epoch ?? []))
    t.ok(epochs.size > 1, `${epochs.size} epochs`)
    // Where it was in each of them is where it goes on.
    for (const epoch of epochs) {
      const at = client.messages.findIndex((message) => message.epoch === epoch)
      const { seq } = client.messages[at + 1]
      const again = await h.connect(id, { query: `after=${seq}&epoch=${epoch}` })
      await again.next('completed')
      t.match(again.messages[0], { recovered: true })
      t.same(
        persistedSeqsOf({ messages: [{ seq }, ...again.messages.slice(1)] } as Inbox),
        log.filter((one) => one > seq),
      )
    }
  }
  for (const { persisted, since } of watchers)
    t.same(
      persisted,
      log.filter((seq) => seq > since),
    )
  for (const tab of tabs) t.equal(messagesOf(tab, id).filter(({ type }) => type === 'process_completed').length, 1)
})
