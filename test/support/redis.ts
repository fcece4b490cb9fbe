import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tap, { type Test } from 'tap'
import { type RedisServer, startRedisServer } from '../../src/embedded/redis-server.js'
import { testPort } from './ports.js'

/** A key prefix in a Redis that other tests share. */
export interface RedisPlace {
  readonly url: string
  /** Prefix of every key and channel: the setting REDIS_PREFIX. */
  readonly prefix: string
}

/** A Redis of one test file. Its URL survives `kill` and `restart`. `server`: the running process. */
export interface TestRedis extends RedisPlace {
  readonly server: RedisServer
  /** Ends redis-server with SIGKILL; resolves when it has ended. Acknowledged writes are there after `restart`. */
  kill(): Promise<void>
  /** Stops it in order, if it runs, and starts it again with the same port and data. */
  restart(): Promise<void>
}

let ofThisFile: Promise<TestRedis> | undefined

/**
 * A fresh key prefix in a Redis that all files of a run share, or all tests of a file that runs alone. A test that
 * stops or configures a server, or reads all of its keys, needs `startTestRedis`.
 */
export async function sharedTestRedis(): Promise<RedisPlace> {
  let url = process.env.RUNCAST_TEST_REDIS
  if (!url) {
    ofThisFile ??= startTestRedis(tap)
    url = (await ofThisFile).url
  }
  return { url, prefix: `test-${randomUUID()}` }
}

/**
 * Starts a real Redis on a port of its own, ended in the teardown. Configured like the embedded one, but never syncs to
 * disk.
 */
export async function startTestRedis(t: Test, extraArgs: readonly string[] = []): Promise<TestRedis> {
  const dataDir = await mkdtemp(join(tmpdir(), 'runcast-test-redis-'))
  const port = await testPort()
  const settings = { port, dataDir, extraArgs: ['--appendfsync', 'no', ...extraArgs] }
  let server = await startRedisServer(settings)
  t.teardown(async () => {
    await server.stop()
    await rm(dataDir, { recursive: true, force: true })
  })
  const { url } = server
  return {
    url,
    prefix: 'runcast',
    get server() {
      return server
    },
    async kill() {
      process.kill(server.pid, 'SIGKILL')
      await server.exited
    },
    async restart() {
      await server.stop()
      server = await startRedisServer(settings)
    },
  }
}
