import { createServer } from 'node:http'
import { createAdapter } from '@socket.io/redis-adapter'
import { Redis } from 'ioredis'
import { Server } from 'socket.io'
import { endWithParent, runMain } from '../../src/app/process.js'

/**
 * A Socket.IO node with its Redis adapter: WebSocket only, no compression (the default), no pings, one room for all.
 */
async function main(): Promise<void> {
  const { REDIS_URL = '', CHANNEL = '', HOST, PORT } = process.env
  const server = createServer((_request, response) => response.end())
  const subscriptions = new Redis(REDIS_URL)
  const adapter = createAdapter(new Redis(REDIS_URL), subscriptions)
  const io = new Server(server, { adapter, transports: ['websocket'], serveClient: false, pingInterval: 600_000 })
  io.on('connection', (socket) => socket.join(CHANNEL))
  await subscriptions.ping() // its reply follows the subscriptions of the adapter
  endWithParent(() => process.exit())
  server.listen(Number(PORT), HOST)
}

await runMain(main)
