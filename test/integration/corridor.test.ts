import { Redis } from 'ioredis'
import t from 'tap'
import { WebSocket } from 'ws'
import { watchJob } from '../../src/client/watch-job.js'
import type { Entry } from '../../src/core/entry.js'
import { runKind } from '../../src/kinds/run/kind.js'
import { DEFAULT_BROKER_LIMITS } from '../../src/storage/broker.js'
import { readEnvelope } from '../../src/storage/envelope.js'
import { RedisBroker } from '../../src/storage/redis/broker.js'
import { JobContext } from '../../src/worker/job-context.js'
import { jobOf } from '../../src/worker/run-job.js'
import { eventually } from '../support/eventually.js'
import { startHarness } from '../support/harness.js'
import type { RunProcessor } from '../support/kinds.js'
import { BUILT_IN } from '../support/kinds.js'

/** The guided tour: one measurement, from the processor of a worker to the state in a browser, looked at on every hop. */
t.test('one event through all ten hops', async (t) => {
  const harness = await startHarness(t, { processor: null })
  const { url } = harness.redis
  const id = await harness.submit({ id: 'tour' })
  const redis = new Redis(url)
  t.teardown(() => redis.disconnect())

  // hop 9 and 10 wait at the far end: the socket of a client of the SDK.
  const frames: string[] = []
  class Recording extends WebSocket {
    constructor(address: string) {
      super(address)
      this.on('message', (data: Buffer) => frames.push(data.toString()))
    }
  }
  const [node] = harness.nodes
  const watch = watchJob({ url: `${node?.ws}/api/v2/ws/runs/${id}`, token: () => harness.token(), WebSocket: Recording })
  t.teardown(() => watch.close())
  await watch.until(({ status }) => status === 'queued')

  // hop 5 is also looked at by a second node's subscriber.
  const heard: Entry[] = []
  const other = new RedisBroker({ kinds: BUILT_IN, url, prefix: harness.config.REDIS_PREFIX, limits: DEFAULT_BROKER_LIMITS })
  t.teardown(() => other.close())
  other.listen({ entry: (entry) => heard.push(entry), gap: () => {} })
  await other.subscribe(id)

  // hop 2 and 3: a context that publishes for a worker which has started the job.
  const publisher = new RedisBroker({ kinds: BUILT_IN, url, prefix: harness.config.REDIS_PREFIX, limits: DEFAULT_BROKER_LIMITS })
  t.teardown(() => publisher.close())
  await publisher.publish(id, [{ key: 'status', class: 'persisted', to: 'running', message: statusMessage(id) }], {
    round: 1,
    token: 1,
    n: 1,
  })
  const context = new JobContext({ id, publisher, writer: { round: 1, token: 1, n: 1 } })

  // hop 1: the processor reports what it measured.
  const processor: RunProcessor = async (_input, job) => {
    job.metric('natural_frequency_hz', 19955.6, 'Hz')
    return { metrics_summary: {} }
  }
  await processor(JSON.parse('{}'), jobOf(runKind, context, {}, { artifact: async () => {}, folder: async () => '' }))
  await context.close()

  // hop 4: one atomic act; hash, log and channel hold the same bytes.
  const key = `${harness.config.REDIS_PREFIX}:{${id}}`
  const inHash = await redis.hgetBuffer(key, 'last:metric:natural_frequency_hz')
  const [, fields] = (await redis.xrevrangeBuffer(`${key}:log`, '+', '-', 'COUNT', 1))[0] ?? []
  t.ok(inHash && fields?.[1]?.equals(inHash))
  t.equal(await redis.hget(key, 'seq'), '3')

  // hop 5: the head says where the entry stands, the body stays bytes.
  const entry = await eventually(() => heard.find(({ key }) => key === 'metric:natural_frequency_hz'))
  t.match(entry, { seq: 3, class: 'persisted', key: 'metric:natural_frequency_hz' })
  t.ok(inHash && readEnvelope(id, inHash).body.equals(entry.body))

  // hop 6 to 9: topic, subscription, outbox, transport. The browser gets the very bytes that the worker wrote.
  const frame = await eventually(() => frames.find((text) => text.includes('metric_update')))
  t.equal(frame, entry.body.toString())
  t.match(JSON.parse(frame), { type: 'metric_update', run_id: id, metric_name: 'natural_frequency_hz', value: 19955.6, unit: 'Hz', seq: 3 })

  // hop 10: proved complete and folded into the state.
  const view = await watch.until(({ seq }) => seq === 3)
  t.same(view.metrics, { natural_frequency_hz: { value: 19955.6, unit: 'Hz' } })
  t.equal(view.status, 'running')
})

function statusMessage(id: string) {
  return { type: 'status', run_id: id, status: 'running', timestamp: new Date().toISOString() }
}
