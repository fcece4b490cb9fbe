import { once } from 'node:events'
import t from 'tap'
import { eventually } from '../helpers/eventually.js'
import { completed, metric, SNAPSHOT, startServer } from '../helpers/scripted-server.js'

t.test('[CONN-1] the token goes in the first message, never in the URL', async (t) => {
  const server = await startServer(t)
  server.watch()
  const { url, heard } = await server.connection(0)
  await eventually(() => heard.length === 1)
  t.same(heard, [{ type: 'auth', token: 'a-token' }])
  t.equal(url, '/j')
})

t.test('[POS-2] [POS-3] duplicates are dropped, left-out ticks are understood, the replay does not move the position', async (t) => {
  const server = await startServer(t)
  const { watch, told } = server.watch()
  await server.connection(0)
  server.say(0, SNAPSHOT, metric(3), metric(5), metric(3), metric(6), metric(6), metric(9, { prev: 6 }), metric(7), completed(10))
  await watch.finished()
  t.same(
    told.map(({ seq }) => seq),
    [5, 3, 5, 6, 9, 10],
  )
  t.equal(server.connections.length, 1)
})

t.test('[POS-2] a message whose predecessor is missing is not applied: the client resumes from what is proved', async (t) => {
  const server = await startServer(t)
  const { watch, told } = server.watch()
  await server.connection(0)
  server.say(0, SNAPSHOT, metric(6), metric(8))
  const { url } = await server.connection(1)
  t.equal(url, '/j?after=6&epoch=e1')
  t.equal(watch.view?.seq, 6)
  server.say(1, { ...SNAPSHOT, seq: 8, recovered: true }, metric(7), metric(8), completed(9))
  await watch.finished()
  t.same(
    told.map(({ seq }) => seq),
    [5, 6, 8, 7, 8, 9],
  )
})

t.test('[POS-2] prev that lies beyond what was had is a gap as well', async (t) => {
  const server = await startServer(t)
  const { watch } = server.watch()
  await server.connection(0)
  server.say(0, SNAPSHOT, metric(9, { prev: 7 }))
  const { url } = await server.connection(1)
  t.equal(url, '/j?after=5&epoch=e1')
  t.equal(watch.view?.seq, 5)
})

t.test('a lost connection is opened again and resumes, again and again', async (t) => {
  const server = await startServer(t)
  const { told, ends } = server.watch()
  for (let i = 0; i < 5; i += 1) {
    const { socket, url } = await server.connection(i)
    if (i > 0) t.equal(url, `/j?after=${4 + i}&epoch=e1`)
    server.say(i, { ...SNAPSHOT, seq: 5 + i, recovered: i > 0 }, metric(5 + i))
    await eventually(() => told.at(-1)?.type === 'metric_update' && told.at(-1)?.seq === 5 + i)
    socket.terminate()
  }
  await server.connection(5)
  t.same(ends, [])
})

t.test('[CODE-1] a close that reconnecting cannot mend ends the watch; one that it can does not', async (t) => {
  for (const code of [4001, 4003, 4004]) {
    const server = await startServer(t)
    const { watch, ends } = server.watch()
    const { socket } = await server.connection(0)
    socket.close(code, 'because')
    await t.rejects(watch.finished(), { message: `the watch has ended: ${code} because` })
    t.same(ends, [{ code, reason: 'because' }])
  }
  for (const code of [1001, 1011, 1012, 1013]) {
    const server = await startServer(t)
    const { ends } = server.watch()
    const { socket } = await server.connection(0)
    socket.close(code)
    await server.connection(1)
    t.same(ends, [])
  }
})

t.test('[CONN-3] a token that ran out on a good connection is asked for anew, once', async (t) => {
  const server = await startServer(t)
  const tokens = ['first', 'second', 'third']
  const { watch, ends } = server.watch({ token: () => tokens.shift() ?? '' })
  const first = await server.connection(0)
  server.say(0, SNAPSHOT)
  await watch.until(() => true)
  first.socket.close(4001)
  const second = await server.connection(1)
  await eventually(() => second.heard.length === 1)
  t.same(second.heard, [{ type: 'auth', token: 'second' }])
  second.socket.close(4001)
  await eventually(() => ends.length === 1)
  t.equal(server.connections.length, 2)
})

t.test('[POS-3] a replay that was cut off is asked for again: no durable entry is lost, none is told twice', async (t) => {
  const server = await startServer(t)
  const { watch, told } = server.watch()
  const first = await server.connection(0)
  server.say(0, SNAPSHOT, metric(6))
  await watch.until(({ seq }) => seq === 6)
  first.socket.terminate()
  const second = await server.connection(1)
  t.equal(second.url, '/j?after=6&epoch=e1')
  server.say(1, { ...SNAPSHOT, seq: 10, recovered: true }, metric(7), metric(8))
  await eventually(() => told.at(-1)?.seq === 8)
  second.socket.terminate()
  const third = await server.connection(2)
  t.equal(third.url, '/j?after=8&epoch=e1')
  server.say(2, { ...SNAPSHOT, seq: 10, recovered: true }, metric(9), metric(10), completed(11))
  await watch.finished()
  t.same(
    told.filter((message) => !('recovered' in message)).map(({ seq }) => seq),
    [6, 7, 8, 9, 10, 11],
  )
})

t.test('[CONN-7] an end whose final message was cut off is asked for as a whole', async (t) => {
  const server = await startServer(t)
  const { watch } = server.watch()
  const first = await server.connection(0)
  server.say(0, { ...SNAPSHOT, status: 'completed', seq: 9 }, metric(8))
  await watch.until(({ status }) => status === 'completed')
  first.socket.terminate()
  const second = await server.connection(1)
  t.equal(second.url, '/j')
  server.say(1, { ...SNAPSHOT, status: 'completed', seq: 9 }, metric(8), completed(9))
  t.match(await watch.finished(), { final: { type: 'completed' } })
  second.socket.terminate()
  t.equal((await server.connection(2)).url, '/j?after=9&epoch=e1')
})

t.test('a new epoch begins with its snapshot', async (t) => {
  const server = await startServer(t)
  const { watch } = server.watch()
  await server.connection(0)
  server.say(0, SNAPSHOT, metric(6), { ...SNAPSHOT, seq: 2, epoch: 'e2' }, metric(3))
  const view = await watch.until(({ seq }) => seq === 3)
  t.equal(view.epoch, 'e2')
  t.same(Object.keys(view.metrics), ['m3'])
})

t.test('closing ends everything, and a watch that was closed does not come back', async (t) => {
  const server = await startServer(t)
  const { watch, ends } = server.watch()
  const { socket } = await server.connection(0)
  watch.close()
  watch.close()
  await once(socket, 'close')
  watch.start()
  t.same(ends, [{ code: 1000, reason: 'closed by this side' }])
  t.equal(server.connections.length, 1)
})
