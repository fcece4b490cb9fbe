import { createServer } from 'node:http'
import { Redis } from 'ioredis'
import { WebSocketServer } from 'ws'
import { endWithParent, runMain } from '../../src/app/process.js'

/** The simplest possible node: Redis SUBSCRIBE, and one `send` of the string per message and client. */
async function main(): Promise<void> {
  const { REDIS_URL = '', CHANNEL = '', HOST, PORT } = process.env
  const server = createServer((_request, response) => response.end())
  const sockets = new WebSocketServer({ server })
  const redis = new Redis(REDIS_URL)
  redis.on('message', (_channel, text) => {
    for (const client of sockets.clients) if (client.readyState === client.OPEN) client.send(text)
  })
  await redis.subscribe(CHANNEL)
  endWithParent(() => process.exit())
  server.listen(Number(PORT), HOST)
}

await runMain(main)
