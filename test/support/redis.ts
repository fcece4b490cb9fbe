import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tap, { type Test } from 'tap'
import { type RedisServer, startRedisServer } from '../../src/embedded/redis-server.js'

/** A place in a Redis: other tests use the same server, under other prefixes. */
export interface RedisPlace {
  readonly url: string
  /** Begins every key and channel: the setting REDIS_PREFIX. */
  readonly prefix: string
}

/** A Redis of one test file. Its url stays the same through `kill` and `restart`; `server` is the one that runs now. */
export interface TestRedis extends RedisPlace {
  readonly server: RedisServer
  /** Ends redis-server with SIGKILL and resolves when it is gone. What it had acknowledged is there after `restart`. */
  kill(): Promise<void>
  /** Starts it again on the same port and data; stops it before, in order, if it runs. */
  restart(): Promise<void>
}

let ofThisFile: Promise<TestRedis> | undefined

/**
 * A fresh place in the Redis that all files of a run share, or that all tests of a file share where it runs alone. For tests that keep to
 * their prefix: one that stops, configures, counts or lists what a whole server has takes `startTestRedis`.
 */
export async function sharedTestRedis(): Promise<RedisPlace> {
  let url = process.env.RUNCAST_TEST_REDIS
  if (!url) {
    ofThisFile ??= startTestRedis(tap)
    url = (await ofThisFile).url
  }
  return { url, prefix: `test-${randomUUID()}` }
}

/** Starts a real Redis on a free port, for this test or test file, and ends it in the teardown. Like the product's, but never waits for the disk. */
export async function startTestRedis(t: Test, extraArgs: readonly string[] = []): Promise<TestRedis> {
  const dataDir = await mkdtemp(join(tmpdir(), 'runcast-test-redis-'))
  const settings = { dataDir, extraArgs: ['--appendfsync', 'no', ...extraArgs] }
  let server = await startRedisServer(settings)
  t.teardown(async () => {
    await server.stop()
    await rm(dataDir, { recursive: true, force: true })
  })
  const { url, port } = server
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
      server = await startRedisServer({ ...settings, port })
    },
  }
}
