import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { isFree } from '../../src/embedded/redis-port.js'
import { type RedisServer, startRedisServer } from '../../src/embedded/redis-server.js'
import { eventually } from '../support/eventually.js'
import { startTestRedis } from '../support/redis.js'

const MODULE = new URL('../../src/embedded/redis-server.js', import.meta.url).href

t.test('starts with nothing evicted and an append-only file; stop leaves no process and no folder', async (t) => {
  const lines: string[] = []
  const server = await startRedisServer({ logger: (line) => lines.push(line) })
  const client = clientOf(t, server.url)
  t.same(await client.config('GET', 'maxmemory-policy'), ['maxmemory-policy', 'noeviction'])
  t.same(await client.config('GET', 'appendonly'), ['appendonly', 'yes'])
  t.same(await client.config('GET', 'appendfsync'), ['appendfsync', 'everysec'])
  t.same(await client.config('GET', 'save'), ['save', ''])
  t.same(await client.config('GET', 'bind'), ['bind', '127.0.0.1'])
  t.match(await client.info('server'), `process_id:${server.pid}\r\n`)
  t.ok(isAlive(server.pid))
  await Promise.all([server.stop(), server.stop()])
  await server.stop()
  t.notOk(isAlive(server.pid))
  t.notOk(existsSync(server.dataDir))
  t.ok(lines.length > 0, 'the log was handed on')
})

t.test('with a password nobody gets in without it, and no list of processes or readable file shows it', async (t) => {
  const password = 'a0b1c2d3e4f5a6b7'
  const server = await startRedisServer({ password })
  t.teardown(() => server.stop())
  t.equal(server.url, `redis://:${password}@127.0.0.1:${server.port}`)
  t.equal(await clientOf(t, server.url).ping(), 'PONG')
  await t.rejects(clientOf(t, `redis://127.0.0.1:${server.port}`).ping(), { message: /NOAUTH/ })
  t.equal(statSync(join(server.dataDir, 'password.conf')).mode & 0o777, 0o600)
  if (process.platform !== 'linux') return
  const lines = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(commandLineOf)
  t.ok(
    lines.some((line) => line.includes(server.dataDir)),
    'its own is among them',
  )
  t.notOk(lines.some((line) => line.includes(password)))
})

t.test('a process that has stopped its server comes to its end: no handle is left', async (t) => {
  const parent = startParent(t, 'await server.stop()')
  t.same(await parent.ended, [0, null])
})

t.test('data survives a restart and a kill', async (t) => {
  const redis = await startTestRedis(t)
  const client = clientOf(t, redis.url)
  await client.set('restarted', 'yes')
  const { pid, dataDir } = redis.server
  await redis.restart()
  t.notOk(isAlive(pid))
  t.not(redis.server.pid, pid)
  t.equal(redis.server.dataDir, dataDir)
  t.equal(await client.get('restarted'), 'yes')
  await client.set('killed', 'yes')
  await redis.kill()
  t.notOk(isAlive(redis.server.pid))
  await redis.restart()
  t.equal(await client.get('killed'), 'yes')
})

t.test('ends with a parent that is killed, and removes its temporary folder', async (t) => {
  const parent = startParent(t)
  const { pid, dataDir } = await parent.started
  t.ok(isAlive(pid))
  parent.child.kill('SIGKILL')
  await parent.ended
  await eventually(() => !isAlive(pid))
  await eventually(() => !existsSync(dataDir))
})

t.test('ends with its guard, even when its parent can do nothing', { skip: process.platform !== 'linux' && 'needs setpriv' }, async (t) => {
  const parent = startParent(t)
  const { pid, port, dataDir } = await parent.started
  t.teardown(() => rm(dataDir, { recursive: true })) // all who would remove it are killed here
  parent.child.kill('SIGSTOP')
  process.kill(parentOf(pid), 'SIGKILL')
  await eventually(() => isFree(port))
})

t.test('an interrupt from the terminal leaves it to its parent to stop it', async (t) => {
  const parent = startParent(t)
  const { pid, url } = await parent.started
  const client = clientOf(t, url)
  const clock = async () => Number(/server_time_usec:(\d+)/.exec(await client.info('server'))?.[1])
  const interrupted = await clock()
  process.kill(-Number(parent.child.pid), 'SIGINT') // to the whole process group, as a terminal does
  await parent.line('SIGINT')
  await eventually(async () => (await clock()) > interrupted + 500_000) // five times what Redis needs to heed a signal
  parent.child.kill('SIGTERM')
  t.same(await parent.ended, [0, null])
  t.notOk(isAlive(pid))
})

t.test('tells why it does not start: the port is in use', async (t) => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  t.teardown(() => other.close())
  const { port } = other.address() as AddressInfo // it listens on a port
  await t.rejects(startRedisServer({ port }), { message: new RegExp(`on port ${port}[\\s\\S]*Address already in use`) })
})

t.test('one data folder serves one Redis at a time: the next one waits for its end', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'runcast-test-redis-'))
  t.teardown(() => rm(dataDir, { recursive: true }))
  const first = await startRedisServer({ dataDir })
  await clientOf(t, first.url).set('written', 'by the first')
  const lines: string[] = []
  const starting = startRedisServer({ dataDir, logger: (line) => lines.push(line) })
  await eventually(() => lines.some((line) => line.includes(dataDir)))
  await first.stop()
  const second = await starting
  t.teardown(() => second.stop())
  t.equal(await clientOf(t, second.url).get('written'), 'by the first')
})

/** A process that starts a Redis, tells of it, and stops it at SIGTERM; in a process group of its own, as in a shell. */
function startParent(t: Test, then = '') {
  const program = `
    import { startRedisServer } from ${JSON.stringify(MODULE)}
    const server = await startRedisServer()
    process.on('SIGINT', () => console.log('SIGINT'))
    process.once('SIGTERM', () => server.stop().then(() => process.exit()))
    console.log(JSON.stringify(server))
    ${then}`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { detached: true, stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  t.teardown(() => child.kill('SIGKILL'))
  const lines: string[] = []
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line))
  const started = eventually(() => lines[0]).then((line) => JSON.parse(line) as RedisServer) // printed by the program above
  return { child, started, ended, line: (text: string) => eventually(() => lines.includes(text)) }
}

function clientOf(t: Test, url: string): Redis {
  const client = new Redis(url, { maxRetriesPerRequest: null, disconnectTimeout: 0 })
  client.on('error', () => {}) // it connects again by itself
  t.teardown(() => client.disconnect())
  return client
}

/** Whether redis-server `pid` is there. Its guard takes note of its end, so it does not linger as a zombie. */
function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

function parentOf(pid: number): number {
  return Number(/PPid:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
}

/** Empty where it has ended meanwhile. */
function commandLineOf(pid: string): string {
  const path = `/proc/${pid}/cmdline`
  return existsSync(path) ? readFileSync(path, 'utf8') : ''
}
