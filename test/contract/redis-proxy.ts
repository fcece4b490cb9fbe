import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { Test } from 'tap'

/** Stands between a client and Redis, to lose what Redis answers. */
export interface RedisProxy {
  readonly url: string
  /** The connection that gets the next answer loses it and is cut. Resolves when that has happened. */
  cutAtNextAnswer(): Promise<void>
  /** The connections that are open now stay open and hear nothing more of Redis. */
  deafen(): void
  /** New connections lead to another Redis; those that are open stay where they are. */
  turnTo(redisUrl: string): void
}

export async function startRedisProxy(t: Test, redisUrl: string): Promise<RedisProxy> {
  let target = new URL(redisUrl)
  const sockets = new Set<Socket>()
  const deaf = new Set<Socket>()
  let cut: (() => void) | undefined
  const server = createServer((client) => {
    const redis = connect(Number(target.port), target.hostname)
    sockets.add(client)
    const end = () => {
      client.destroy()
      redis.destroy()
      sockets.delete(client)
    }
    for (const socket of [client, redis]) socket.on('error', end).on('close', end)
    client.on('data', (bytes) => redis.write(bytes))
    redis.on('data', (bytes) => {
      if (cut) {
        end()
        cut()
        cut = undefined
      } else if (!deaf.has(client)) client.write(bytes)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cutAtNextAnswer: () => {
      return new Promise((resolve) => {
        cut = resolve
      })
    },
    deafen: () => {
      for (const socket of sockets) deaf.add(socket)
    },
    turnTo: (url) => {
      target = new URL(url)
    },
  }
}
