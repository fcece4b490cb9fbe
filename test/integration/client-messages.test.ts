import { once } from 'node:events'
import t, { type Test } from 'tap'
import { eventually } from '../support/eventually.js'
import { startHarness } from '../support/harness.js'
import { Stage } from '../support/stage.js'
import type { Message } from '../support/test-client.js'
import { assertComplete, assertShapes, entriesOf, isSnapshot } from '../support/wire.js'

// They mostly wait, each on a harness of its own.
t.jobs = 4

t.test('what a client may say', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { nodes: 2, processor: stage.processor })

  t.test('[MSG-1] ping is answered with pong, in one piece or many, at every moment', async (t) => {
    const id = await h.submit()
    const play = await stage.play(id)
    const client = await h.connect(id)
    const anonymous = await h.connect(id, { token: null })
    await client.next('status')
    for (const pinger of [client, anonymous]) {
      pinger.send({ type: 'ping' })
      t.same(await pinger.next(), { type: 'pong' })
    }
    client.send({ type: 'ping', note: 'fields beyond are let through' })
    t.same(await client.next(), { type: 'pong' })
    client.socket.send('{"type":', { fin: false })
    client.socket.send('"ping"}', { fin: true })
    t.same(await client.next(), { type: 'pong' })
    const pong = once(client.socket, 'pong')
    for (let i = 0; i < 50; i += 1) play.job.metric('between_pings', i, '1')
    client.socket.ping('of the protocol below')
    t.equal(String(await pong), 'of the protocol below')
    for (let i = 0; i < 50; i += 1) t.equal((await client.next()).value, i)
  })

  t.test('[MSG-2] cancel is answered with the status, and obeyed', async (t) => {
    const id = await h.submit()
    await stage.play(id)
    const log = await h.connect(id)
    const client = await h.connect(id, { node: 1 })
    for (const watching of [client, log]) await watching.next('status')
    client.send({ type: 'cancel' })
    t.same(await client.next('cancel_accepted'), { type: 'cancel_accepted', run_id: id, status: 'cancelling' })
    for (const watching of [client, log]) {
      await eventually(() => watching.messages.some(({ type }) => type === 'cancelled'))
      const statuses = watching.messages.filter((message) => message.type === 'status' && !isSnapshot(message)).map(({ status }) => status)
      t.same(statuses, ['cancelling'])
      assertComplete(t, watching.messages)
    }
    t.same(
      log.messages.filter(({ type }) => type === 'cancel_accepted'),
      [],
      'the answer is for whoever asked',
    )
  })

  t.test('none of this was a fault of the hub', async (t) => t.same(h.faults, []))
})

t.test('[MSG-2] a waiting run is cancelled at once', async (t) => {
  const h = await startHarness(t, { processor: null })
  const id = await h.submit()
  const client = await h.connect(id)
  t.match(await client.next(), { status: 'queued' })
  client.send({ type: 'cancel' })
  t.same(await client.next('cancel_accepted'), { type: 'cancel_accepted', run_id: id, status: 'cancelled' })
  await eventually(() => client.messages.some(({ type }) => type === 'cancelled'))
  assertShapes(t, client.messages)
  t.same(h.faults, [])
})

t.test('[MSG-4] [MSG-5] [MSG-6] what a client does wrong', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { processor: stage.processor })
  const id = await h.submit()
  const { job } = await stage.play(id)
  const bystander = await h.connect(id)
  await bystander.next('status')
  let disturbances = 0
  /** The others of the run on this node go on getting everything. */
  const assertUndisturbed = async (t: Test) => {
    disturbances += 1
    job.metric('undisturbed', disturbances, '1')
    t.match(await bystander.next(), { type: 'metric_update', value: disturbances })
    bystander.send({ type: 'ping' })
    t.same(await bystander.next(), { type: 'pong' })
    assertComplete(t, bystander.messages)
  }
  const breaches: [name: string, frame: unknown, request: string | null, message: RegExp][] = [
    ['not JSON', 'hello', null, /JSON object/],
    ['nothing', '', null, /JSON object/],
    ['a JSON array', '[{"type":"ping"}]', null, /JSON object/],
    ['a JSON text', '"ping"', null, /JSON object/],
    ['null', 'null', null, /JSON object/],
    ['an unknown type', { type: 'subscribe' }, 'subscribe', /"subscribe": expected one of ping, auth, cancel/],
    ['a type of every object', { type: 'constructor' }, 'constructor', /^Unknown message type/],
    ['a type of the hub', { type: 'status' }, 'status', /^Unknown message type/],
    ['a long type', { type: 'x'.repeat(5000) }, 'x'.repeat(64), /^Unknown message type/],
    ['no type', { kind: 'ping' }, null, /"type"/],
    ['a type that is no text', { type: 5 }, null, /"type"/],
    ['a missing field', { type: 'auth' }, 'auth', /token/],
    ['a field of another type', { type: 'auth', token: 5 }, 'auth', /token/],
    ['an empty field', { type: 'auth', token: '' }, 'auth', /token/],
    ['a binary frame', Buffer.from('{"type":"ping"}'), null, /text/],
  ]

  t.test('[MSG-4] [MSG-5] what is no message is refused, and the socket lives', async (t) => {
    for (const [name, frame, request, message] of breaches) {
      const client = await h.connect(id)
      await client.next('status')
      await eventually(() => client.messages.length > Math.min(disturbances, 1))
      const before = client.messages.length
      client.send(frame)
      const refusal = await client.next('refused')
      t.match(refusal.message, message, name)
      t.same(refusal, { type: 'refused', request, code: 'invalid', message: refusal.message }, name)
      client.send({ type: 'ping' })
      t.same(await client.next(), { type: 'pong' }, name)
      t.equal(client.messages.length, before + 2, `${name}: one answer`)
      client.terminate()
    }
    await assertUndisturbed(t)
  })

  t.test('[MSG-5] the sixteenth in a minute closes with 4029', async (t) => {
    t.equal(h.config.MAX_BREACHES_PER_MINUTE, 16)
    t.equal(breaches.length, 15)
    const client = await h.connect(id)
    await client.next('status')
    for (const [, frame] of breaches) {
      client.send(frame)
      await client.next('refused')
    }
    client.send({ type: 'ping' })
    t.same(await client.next('pong'), { type: 'pong' }, 'fifteen are borne')
    client.send('sixteen')
    t.match(await client.closed, { code: 4029, reason: /slow down/ })

    const flood = await h.connect(id)
    for (let i = 0; i < 5000; i += 1) flood.send('x')
    t.match(await flood.closed, { code: 4029 })
    t.equal(flood.messages.filter(({ type }) => type === 'refused').length, 15)
    await assertUndisturbed(t)
  })

  t.test('[MSG-4] a refused request is no breach', async (t) => {
    const client = await h.connect(id, { token: null })
    for (let i = 0; i < 20; i += 1) {
      client.send({ type: 'cancel' })
      t.match(await client.next(), { type: 'refused', request: 'cancel', code: 'unauthenticated', message: /.+/ })
    }
    client.send({ type: 'auth', token: h.token() })
    t.match(await client.next(), { type: 'authenticated' })
    client.terminate()
    await assertUndisturbed(t)
  })

  t.test('[MSG-6] a frame beyond MAX_INBOUND_BYTES: 1009', async (t) => {
    const ping = (bytes: number) => `{"type":"ping","padding":"${'x'.repeat(bytes - 28)}"}`
    const limit = h.config.MAX_INBOUND_BYTES
    const largest = await h.connect(id)
    await largest.next('status')
    t.equal(Buffer.byteLength(ping(limit)), limit)
    largest.send(ping(limit))
    t.same(await largest.next('pong'), { type: 'pong' }, 'the largest is read')
    largest.send(ping(limit + 1))
    t.match(await largest.closed, { code: 1009 })

    const mebibyte = await h.connect(id)
    await mebibyte.next('status')
    mebibyte.send('x'.repeat(1024 * 1024))
    t.match(await mebibyte.closed, { code: 1009 })

    const inPieces = await h.connect(id)
    await inPieces.next('status')
    for (let i = 0; i < 20; i += 1) inPieces.socket.send('x'.repeat(4096), { fin: false })
    t.match(await inPieces.closed, { code: 1009 })
    await assertUndisturbed(t)
  })

  t.test('a frame that is no UTF-8 or breaks the protocol of WebSocket, and a connection that just ends', async (t) => {
    const notUtf8 = await h.connect(id)
    notUtf8.socket.send(Buffer.from([0xff, 0xfe]), { binary: false })
    t.match(await notUtf8.closed, { code: 1007 })
    const gone = await h.connect(id)
    gone.terminate()
    const polite = await h.connect(id)
    polite.socket.close(4999, 'bye')
    t.match(await polite.closed, { code: 4999 })
    await assertUndisturbed(t)
    await eventually(() => h.nodes[0]?.hub.server.sessions.size === 1) // the bystander's
  })

  t.test('none of this was a fault of the hub', async (t) => {
    t.equal(bystander.socket.readyState, bystander.socket.OPEN)
    t.same(
      entriesOf(bystander.messages).map(({ value }: Message) => value),
      Array.from({ length: disturbances }, (_, i) => i + 1),
    )
    t.same(h.faults, [])
  })
})
