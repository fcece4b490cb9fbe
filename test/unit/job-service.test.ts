import t from 'tap'
import { MemoryBroker } from '../../src/broker/memory-broker.js'
import { MemoryFeeds } from '../../src/broker/memory-feeds.js'
import { JobService } from '../../src/jobs/job-service.js'
import type { Queue } from '../../src/jobs/queue.js'
import { messageOf } from '../../src/protocol/job-state.js'
import { HORN } from '../helpers/harness.js'

/** A queue without workers. */
const QUEUE: Queue = {
  add: async () => {},
  started: async () => {},
  dispatch: async () => {},
  remove: async () => true,
  cancelOnOwner: async () => {},
  state: async () => ({ at: 'waiting' }),
  close: async () => {},
}

const OPEN = { reserve: async () => ({ ok: true }) as const }

t.test('[PROC-2] a job was created when its first message says so, however slow the machine is', async (t) => {
  const store = new MemoryBroker()
  const jobs = new JobService({
    broker: store,
    store,
    feeds: new MemoryFeeds(),
    queue: QUEUE,
    gate: OPEN,
    timeoutsMs: { run: 1000, benchmark: 1000 },
  })
  let now = Date.now()
  class SlowDate extends Date {
    constructor(value: number | string | Date = now) {
      super(value)
      now += 5
    }
  }
  t.intercept(globalThis, 'Date', { value: SlowDate })
  const { id, created_at } = await jobs.submit({ owner: 'alice', kind: 'run', input: HORN })
  const [first] = (await store.history(id, 0, 1))?.entries ?? []
  t.equal(first && messageOf(first).timestamp, created_at)
})
