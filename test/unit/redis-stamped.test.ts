import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import t from 'tap'
import { connectCommands } from '../../src/storage/redis/connection.js'
import { STORE } from '../../src/storage/redis/stamped.js'

/** A server in the protocol of Redis that answers INFO with an identity for each connection, and scripts as it is told. */
async function startStore(t: { teardown(act: () => void): void }, answer: (connection: number, socket: Socket) => void) {
  const scripts: string[][] = []
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    const connection = sockets.push(socket)
    socket.on('error', () => {})
    socket.on('data', (data) => {
      // Each command comes whole: "*<n>", then a length and a text for each of its words.
      for (const command of data
        .toString()
        .split(/^\*\d+\r\n/m)
        .slice(1)) {
        const words = command.split('\r\n').filter((_, i) => i % 2 === 1)
        if (words[0] === 'hello') socket.write('-NOPROTO unsupported\r\n')
        else if (words[0] === 'info') socket.write(bulk(`role:master\r\nmaster_replid:${String(connection).repeat(40)}\r\n`))
        else if (words[0]?.startsWith('eval')) {
          scripts.push(words)
          answer(connection, socket)
        } else socket.write('+OK\r\n')
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`, scripts }
}

function bulk(text: string): string {
  return `$${text.length}\r\n${text}\r\n`
}

t.test('[POS-6] a script that is sent again over a new connection names the store that it reaches', async (t) => {
  const store = await startStore(t, (connection, socket) => (connection === 1 ? socket.destroy() : socket.write('$-1\r\n')))
  const commands = connectCommands({ url: store.url })
  t.teardown(() => commands.disconnect())
  // Queued until the connection stands, cut off there, and sent again.
  t.equal(await commands.runcastReadBuffer('job', 'log', STORE, 'epoch', 0, 10), null)
  t.same(
    store.scripts.map((words) => words.slice(-6)),
    ['1', '2'].map((connection) => ['job', 'log', connection.repeat(16), 'epoch', '0', '10']),
  )
})
