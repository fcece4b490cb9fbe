import t from 'tap'
import { ArtifactSweeper } from '../../src/jobs/artifacts/artifact-sweeper.js'
import { deferred } from '../../src/worker/deferred.js'
import { eventually } from '../support/eventually.js'
import { memoryArtifacts } from '../support/memory-artifacts.js'

const writer = { round: 1, token: 1, n: 0 }

async function* text(content = 'x', when: Promise<void> = Promise.resolve()) {
  await when
  yield Buffer.from(content)
}

t.test('[ART-7] one user has at most a quarter of the uploads of a hub', async (t) => {
  const { service, named } = memoryArtifacts({ maxUploads: 8 })
  const arrives = deferred()
  const put = (name: string, sub: string) => service.put({ id: 'j', writer, name, sub, content: text('x', arrives.promise) })
  const slow = [put('a', 'alice'), put('b', 'alice')]
  await eventually(() => service.uploads === 2)
  await t.rejects(put('c', 'alice'), { code: 'rate_limited', status: 429, retryAfterMs: 1000, message: /2 uploads under way here/ })
  const others = ['bob', 'carol', 'dave'].flatMap((sub) => [put('a', sub), put('b', sub)])
  await eventually(() => service.uploads === 8)
  await t.rejects(put('a', 'erin'), { code: 'overloaded', status: 503 }, 'the hub has no slot left')
  arrives.resolve()
  await Promise.all([...slow, ...others])
  t.equal(service.uploads, 0)
  await Promise.all([put('c', 'alice'), put('a', 'erin')])
  t.equal(named.length, 10)
})

t.test('[ART-4] a patient upload waits for a free slot, and can be stopped', async (t) => {
  const { service, named } = memoryArtifacts({ maxUploads: 1 })
  const arrives = deferred()
  const put = (name: string, signal?: AbortSignal) =>
    service.put({ id: 'j', writer, name, content: text('x', arrives.promise), isPatient: true, ...(signal && { signal }) })
  const stop = new AbortController()
  const first = put('a')
  await eventually(() => service.uploads === 1)
  const stopped = put('b', stop.signal)
  const last = [put('c'), put('d')]
  stop.abort(new Error('stopped'))
  await t.rejects(stopped, { message: 'stopped' })
  arrives.resolve()
  await Promise.all([first, ...last])
  t.same(
    named.map(({ name }) => name),
    ['a', 'c', 'd'],
    'one after the other',
  )
  t.equal(service.uploads, 0)
})

t.test('[ART-7] what fails after the commit does not change how an upload ends', async (t) => {
  const fail = async () => {
    throw new Error('not now')
  }
  const upload = { id: 'j', writer, name: 'a', content: text() }
  const refused = memoryArtifacts({ store: { remove: fail }, records: { commit: async () => ({ ok: false, reason: 'stale_writer' }) } })
  await t.rejects(refused.service.put({ ...upload, content: text() }), { code: 'stale_writer' })
  const stored = memoryArtifacts({ store: { remove: fail }, records: { count: fail } })
  t.match(await stored.service.put({ ...upload, content: text() }), { name: 'a', bytes: 1 })
})

t.test('[ART-9] only the process with the lease reads the marker, and one without the store returns it', async (t) => {
  let holder: string | null = 'another process'
  const lease = {
    acquire: async () => {
      holder ??= 'this process'
      return holder === 'this process'
    },
    release: async () => {
      holder = null
    },
  }
  let reads = 0
  const faults: unknown[] = []
  const { service } = memoryArtifacts({
    store: {
      marker: async () => {
        reads += 1
        if (reads === 1) throw new Error('unreachable')
        return 'of another store'
      },
    },
    records: { marker: async () => 'shared' },
  })
  let sweeps = 0
  const acquire = lease.acquire
  lease.acquire = () => {
    sweeps += 1
    return acquire()
  }
  const sweeper = new ArtifactSweeper(service, lease, { intervalMs: 1, onFault: (error) => faults.push(error) })
  t.teardown(() => sweeper.close())
  await eventually(() => sweeps >= 3)
  t.equal(reads, 0)
  holder = null
  await eventually(() => reads >= 3)
  await sweeper.close()
  t.match(faults, [{ code: 'no_store' }])
  t.equal(holder, null, 'so that a process with the store sweeps')
})
