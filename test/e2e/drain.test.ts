import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { WebSocket } from 'ws'
import { JobWatch } from '../../src/client/watch-job.js'
import { type Harness, startHarness } from '../support/harness.js'
import { startHub } from '../support/hub-process.js'
import type { RunProcessor } from '../support/kinds.js'
import { TestClient } from '../support/test-client.js'

const JOBS = 20
const FOLLOWERS = 800
const OTHERS = 200
const DRAIN_MS = 6000

/** Watches with the SDK, which moves when it is told to; what it was told, in order. */
function follow(h: Harness, id: string, nodeNow: () => string) {
  const seqs: number[] = []
  let since = -1
  class Balanced extends WebSocket {
    constructor(url: string) {
      super(url.replace('ws://balancer', nodeNow()))
    }
  }
  const watch = new JobWatch({
    url: `ws://balancer/api/v2/ws/runs/${id}`,
    token: () => h.token(),
    WebSocket: Balanced,
    backoffMs: { first: 50, longest: 500 },
    onMessage: (message) => {
      if ('recovered' in message) since = since < 0 ? message.seq : since
      else if (message.type !== 'progress' && message.seq > since) seqs.push(message.seq)
    },
  }).start()
  h.onTeardown(() => watch.close())
  return { id, watch, seqs, since: () => since }
}

t.test(
  '[DRAIN-2] [DRAIN-3] SIGTERM on a node with 1,000 clients and 20 busy jobs: who follows has all entries, the others are spread, and it ends in time',
  async (t) => {
    let isOver = false
    const busy: RunProcessor = async (_input, job) => {
      for (let i = 0; !isOver; i += 1) {
        job.metric(`m${i % 3}`, i, 'Hz')
        job.progress({ percent: i / 100, phase: 'solving', message: `${i}` })
        await sleep(100, undefined, { signal: job.signal }) // the rhythm of the reports
      }
      return { metrics_summary: {} }
    }
    const h = await startHarness(t, { processor: busy, env: { WORKER_CONCURRENCY: String(JOBS) } })
    const settings = {
      MAX_SOCKETS_PER_USER: '5000',
      MAX_UPGRADES_PER_SECOND: '10000',
      MAX_PENDING_SOCKETS_PER_ADDRESS: '2000',
      DRAIN_MS: `${DRAIN_MS}`,
    }
    const [stays, leaves] = await Promise.all([startHub(t, h, settings), startHub(t, h, settings)])
    const ids = await Promise.all(Array.from({ length: JOBS }, () => h.submit()))
    let now = leaves.ws
    const followers = Array.from({ length: FOLLOWERS }, (_, i) => follow(h, ids[i % JOBS] ?? '', () => now))
    const others = Array.from(
      { length: OTHERS },
      (_, i) => new TestClient(`${leaves.ws}/api/v2/ws/runs/${ids[i % JOBS]}?token=${h.token()}`),
    )
    h.onTeardown(() => {
      for (const client of others) client.terminate()
    })
    await Promise.all(followers.map(({ watch }) => watch.until(({ status }) => status === 'running')))
    await Promise.all(others.map((client) => client.next('metric_update')))

    now = stays.ws
    leaves.child.kill('SIGTERM')
    const begun = Date.now()
    const closedAt: number[] = []
    for (const client of others) client.closed.then(({ code }) => closedAt.push(code === 1012 ? Date.now() - begun : -1))
    const [code] = await once(leaves.child, 'exit')
    t.equal(code, 0)
    t.ok(Date.now() - begun < DRAIN_MS + 5000, `it ended after ${Date.now() - begun} ms`)
    await Promise.all(others.map(({ closed }) => closed))
    t.ok(
      closedAt.every((at) => at >= 0.75 * DRAIN_MS),
      'all others were closed with 1012, and late',
    )
    t.ok(new Set(closedAt).size > 1, 'not all at once')

    isOver = true
    const finals = await Promise.all(followers.map(({ watch }) => watch.finished()))
    t.ok(finals.every(({ status }) => status === 'completed'))
    const logged = new Map<string, number[]>()
    for (const id of ids) {
      const { body } = await h.call('GET', `/api/v2/runs/${id}/events?limit=1000`)
      logged.set(
        id,
        body.events.map(({ seq }: { seq: number }) => seq),
      )
    }
    const wrong = followers.filter(
      ({ id, seqs, since }) => JSON.stringify(seqs) !== JSON.stringify(logged.get(id)?.filter((seq) => seq > since())),
    )
    t.same(
      wrong.slice(0, 3).map(({ id, seqs, since }) => ({ id, seqs, since: since(), logged: logged.get(id) })),
      [],
      'every durable entry once and in order',
    )
  },
)
