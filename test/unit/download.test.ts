import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { downloadFrom } from '../../src/client/download.js'

t.test('[ART-2] a download without an ETag that breaks off says so', async (t) => {
  let requests = 0
  const server = createServer((_request, response) => {
    requests += 1
    response.writeHead(200, { 'content-length': '10' })
    response.write('01234', () => response.destroy())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const pieces: Uint8Array[] = []
  const reading = async () => {
    const hub = { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
    for await (const piece of downloadFrom(hub, '/a')) pieces.push(piece)
  }
  await t.rejects(reading(), { code: 'overloaded', message: /^The download broke off, and has no ETag/ })
  t.equal(Buffer.concat(pieces).toString(), '01234')
  t.equal(requests, 1)
})
