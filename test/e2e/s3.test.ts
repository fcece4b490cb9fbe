import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import t from 'tap'
import { objectOf } from '../../src/storage/artifact-store.js'
import { S3Store } from '../../src/storage/artifacts/s3-store.js'
import { artifactStoreContract } from '../contract/artifact-suite.js'
import { eventually } from '../support/eventually.js'
import { startHarness } from '../support/harness.js'
import { NO_S3_SERVER, startS3 } from '../support/s3-server.js'

const region = 'us-east-1'

t.test('a bucket of a real S3 server', { skip: NO_S3_SERVER }, async (t) => {
  const s3 = await startS3(t)
  artifactStoreContract(t, (t, place) => {
    const store = new S3Store({ ...s3, region, hasLinks: true, prefix: place, database: 0 })
    t.teardown(() => store.close())
    return store
  })
})

t.test('[ART-2] a service that accepts requests and answers none is given up', async (t) => {
  const silent = createServer().listen(0, '127.0.0.1')
  t.teardown(() => silent.close())
  await once(silent, 'listening')
  const sockets = new Set<Socket>()
  silent.on('connection', (socket) => sockets.add(socket.resume()))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
  })
  const endpoint = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`
  process.env.AWS_ACCESS_KEY_ID ??= 'none'
  process.env.AWS_SECRET_ACCESS_KEY ??= 'none'
  const store = new S3Store({ bucket: 'b', endpoint, region, hasLinks: false, prefix: 'p', database: 0, idleMs: 50 })
  t.teardown(() => store.close())
  const object = objectOf('id', '0123456789ab', 'name', '0123456789abcdef')
  await t.rejects(store.marker(), { name: 'TimeoutError' })
  await t.rejects(store.put(object, Readable.from([Buffer.from('x')])), { name: 'TimeoutError' })
  await t.rejects(store.open(object), { name: 'TimeoutError' })
})

t.test('[ART-2] [ART-8] hubs and workers use a bucket; large downloads are links', { skip: NO_S3_SERVER }, async (t) => {
  const s3 = await startS3(t)
  const big = randomBytes(20_000_001)
  const env = {
    ARTIFACTS_BUCKET: s3.bucket,
    ARTIFACTS_ENDPOINT: s3.endpoint,
    ARTIFACTS_REGION: region,
    FINAL_TTL_MS: '4000',
    SWEEP_INTERVAL_MS: '100',
  }
  const h = await startHarness(t, {
    env,
    processor: async (_input, job) => {
      await job.artifact('small.txt', { data: 'small' })
      await job.artifact('small.txt', { data: 'smaller' })
      await job.artifact('big.bin', { data: big })
      return { metrics_summary: {} }
    },
  })
  const id = await h.submit()
  const path = `${h.nodes[0]?.http}/api/jobs/${id}/artifacts`
  const headers = { authorization: `Bearer ${h.token()}` }
  await eventually(async () => (await h.call('GET', `/api/jobs/${id}`)).body.status === 'completed')
  const small = await fetch(`${path}/small.txt`, { headers: { ...headers, range: 'bytes=1-3' } })
  t.same([small.status, await small.text()], [206, 'mal'])
  const link = await fetch(`${path}/big.bin`, { headers, redirect: 'manual' })
  t.equal(link.status, 302)
  const location = link.headers.get('location') ?? ''
  t.ok(location.startsWith(`${s3.endpoint}/${s3.bucket}/`))
  t.equal(new URL(location).searchParams.get('X-Amz-Expires'), '60')
  const direct = await fetch(location, { headers: { range: 'bytes=0-9' } })
  t.equal(direct.headers.get('content-disposition'), 'attachment; filename="big.bin"')
  t.ok(Buffer.from(await direct.arrayBuffer()).equals(big.subarray(0, 10)))
  t.equal((await fetch(location.split('?')[0] ?? '')).status, 403, 'the bucket itself is closed')
  const { store } = h.nodes[0]?.hub.parts.artifacts ?? {}
  const left = async () => {
    const found = []
    for await (const { object } of store?.list() ?? []) found.push(object)
    return found.length
  }
  t.equal(await left(), 2)
  await eventually(async () => (await left()) === 0)
  t.same(h.faults, [])
})
