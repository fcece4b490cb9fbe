import { readFile, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { eventually } from '../support/eventually.js'
import type { Jobs } from './jobs.js'
import { Rest } from './rest.js'
import { say } from './shell.js'
import type { Stack } from './stack.js'
import { undisturbed } from './undisturbed.js'
import { judge } from './verdict.js'

const HUBS = 3
const QUIET_STOPS = 2
const MB = 1_000_000
/** Longer than any time after which an old process of the load balancer could be ended without anybody noticing here. */
const OLD_PROCESS_MS = 15_000

/** Names of the hubs that answer through the load balancer, of so many requests. */
async function answering(stack: Stack, requests = 12): Promise<Set<string>> {
  const names = new Set<string>()
  for (let i = 0; i < requests; i += 1) {
    const { headers, ok } = await fetch(`${stack.url}/livez`, { headers: { connection: 'close' } })
    if (ok) names.add(headers.get('x-runcast-hub') ?? '')
  }
  return names
}

/** Before anybody is connected: a hub without a socket has nothing to wait for, and must not end before the load balancer knows. */
export async function quiet(t: Test, stack: Stack): Promise<void> {
  const asked = new Rest(stack.url, await stack.token('carol'))
  for (let i = 0; i < QUIET_STOPS; i += 1) {
    await stack.scale('hub', 2)
    const found = async () => (await answering(stack)).size === 2
    await eventually(found, { timeoutMs: 30_000, everyMs: 300 })
    const [hub = ''] = await stack.units('hub')
    t.equal(await undisturbed(t, asked, () => stack.stop(hub)), 0, 'it ended by itself')
  }
}

/** What an operator does to the services while jobs are watched: each step has a test of its own. */
export async function story(t: Test, stack: Stack, jobs: Jobs): Promise<void> {
  const first = async (service: string) => (await stack.units(service))[0] ?? ''
  const asked = jobs.rest

  await t.test('the hubs are scaled to 3, and the load balancer finds them without a restart', async (t) => {
    const before = await answering(stack)
    t.equal(before.size, 1, 'one before')
    await undisturbed(t, asked, () => stack.scale('hub', HUBS))
    // The first one has the connections of all clients, so new ones go to the others.
    const found = async () => {
      const names = await answering(stack)
      return names.size === HUBS - 1 && names
    }
    const after = await eventually(found, { timeoutMs: 30_000, everyMs: 300 })
    t.equal(new Set([...before, ...after]).size, HUBS, [...before, ...after].join(' '))
    await stack.scale('solver', 2)
    t.ok((await jobs.running()) > 0, 'jobs are running')
  })

  await t.test('a hub is stopped: its clients move, it ends by itself and in time, and no request fails', async (t) => {
    const begun = Date.now()
    const code = await undisturbed(t, asked, async () => stack.stop(await first('hub')))
    t.equal(code, 0, 'it was not ended by force')
    say(`a hub drained within ${((Date.now() - begun) / 1000).toFixed(1)} s`)
    t.ok(jobs.openRuns > 0)
    await stack.scale('hub', HUBS)
  })

  await t.test('a hub is killed: it comes back, and the others serve meanwhile', async (t) => {
    const unit = await first('hub')
    // What it was answering at that moment is lost, and nothing else.
    await undisturbed(t, asked, () => stack.crash(unit), 1)
    t.ok((await stack.units('hub')).includes(unit))
    t.equal((await stack.units('hub')).length, HUBS)
    t.ok(jobs.openRuns > 0)
  })

  await t.test('a worker is killed: its runs begin another attempt', async (t) => {
    const before = [...jobs.attempts.values()].filter((attempt) => attempt > 1).length
    await eventually(async () => (await jobs.running()) >= 4, { timeoutMs: 60_000, everyMs: 300 })
    await stack.crash(await first('solver'))
    await eventually(() => [...jobs.attempts.values()].filter((attempt) => attempt > 1).length > before, {
      timeoutMs: 60_000,
      everyMs: 200,
    })
    t.pass('a run is in its second attempt')
  })

  await t.test('the load balancer is reloaded: it goes by its new file, and cuts no connection', async (t) => {
    const before = jobs.connects
    const shown = (await readFile(stack.proxyFile, 'utf8')).replace('X-Runcast-Hub %s', 'X-Runcast-Hub reloaded-%s')
    await writeFile(stack.proxyFile, shown)
    await stack.reload()
    await eventually(async () => [...(await answering(stack, 1))].some((name) => name.startsWith('reloaded-')), { everyMs: 200 })
    // What an old process would be ended after, where it were.
    await undisturbed(t, asked, () => sleep(OLD_PROCESS_MS))
    t.equal(jobs.connects, before, 'nobody had to connect again')
  })

  await t.test('the load balancer is killed: it comes back, also after a reload', async (t) => {
    const before = jobs.connects
    await stack.crash(await first('proxy'))
    await eventually(() => jobs.connects > before, { timeoutMs: 60_000, everyMs: 200 })
    t.ok(await eventually(async () => (await answering(stack, 1)).size, { timeoutMs: 60_000, everyMs: 200 }))
  })

  for (const [what, how] of [
    ['restarted', () => stack.restart('redis')],
    ['removed with everything else, but not its data, and all is brought up again', () => stack.recreate()],
  ] as const)
    await t.test(`Redis is ${what}`, async (t) => {
      await how()
      await eventually(async () => (await fetch(`${stack.url}/readyz`)).ok, { timeoutMs: 60_000, everyMs: 200 })
      t.ok(await eventually(() => jobs.running().catch(() => 0), { timeoutMs: 60_000, everyMs: 500 }), 'jobs go on')
    })

  await t.test('hubs and workers are rolled, each replaced one after the other, and no request fails', async (t) => {
    const old = new Map<string, string[]>()
    for (const service of ['hub', 'solver', 'benchmark']) old.set(service, await stack.units(service))
    await undisturbed(t, asked, async () => {
      for (const [service, units] of old)
        for (const unit of units) t.equal(await stack.replace(unit), 0, `${service} ${unit} ended by itself`)
    })
    for (const [service, units] of old) t.equal((await stack.units(service)).length, units.length, service)
  })

  await t.test('every client has every durable entry once, and the right final state', async (t) => {
    const memory = await stack.memory()
    for (const [unit, bytes] of memory) say(`memory of ${unit}: ${(bytes / MB).toFixed(0)} MB`)
    const told = await jobs.finish()
    const { faults, entries, fills } = await judge(told)
    t.same(faults, [])
    const connects = jobs.watchers.map((watcher) => watcher.connects)
    say(
      `${jobs.ids.length} jobs, ${told.length} views by ${connects.length} clients over ${connects.reduce((a, b) => a + b)} connections: ${entries} durable entries, ${fills} fills from REST`,
    )
    t.ok(entries > 100)
    t.ok(Math.max(...connects) > 1, 'clients have moved')
  })
}
