import type { Test } from 'tap'
import { eventually } from '../helpers/eventually.js'
import type { Jobs } from './jobs.js'
import { say } from './shell.js'
import type { Stack } from './stack.js'
import { judge } from './verdict.js'

const HUBS = 3
const MB = 1_000_000

/** Names of the hubs that answer through the load balancer, of so many requests. */
async function answering(stack: Stack, requests = 12): Promise<Set<string>> {
  const names = new Set<string>()
  for (let i = 0; i < requests; i += 1) {
    const { headers, ok } = await fetch(`${stack.url}/livez`, { headers: { connection: 'close' } })
    if (ok) names.add(headers.get('x-runcast-hub') ?? '')
  }
  return names
}

/** Whether requests through the load balancer are answered while something goes on, but for so many. */
async function undisturbed<T>(t: Test, stack: Stack, what: () => Promise<T>, mayFail = 0): Promise<T> {
  let isOver = false
  const wrong: string[] = []
  let asked = 0
  const ask = async () => {
    while (!isOver) {
      const response = await fetch(`${stack.url}/livez`, { headers: { connection: 'close' }, signal: AbortSignal.timeout(5000) }).catch(
        (error: Error) => error,
      )
      asked += 1
      if (response instanceof Error) wrong.push(response.message)
      else if (!response.ok) wrong.push(`${response.status}`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  const asking = ask()
  const result = await what()
  isOver = true
  await asking
  t.ok(wrong.length <= mayFail, `${asked} requests meanwhile, ${wrong.length} failed: ${wrong.slice(0, 5).join(', ')}`)
  return result
}

/** What an operator does to the services while jobs are watched: each step has a test of its own. */
export async function story(t: Test, stack: Stack, jobs: Jobs): Promise<void> {
  const first = async (service: string) => (await stack.units(service))[0] ?? ''

  await t.test('the hubs are scaled to 3, and the load balancer finds them without a restart', async (t) => {
    const before = await answering(stack)
    t.equal(before.size, 1, 'one before')
    await undisturbed(t, stack, () => stack.scale('hub', HUBS))
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
    const code = await undisturbed(t, stack, async () => stack.stop(await first('hub')))
    t.equal(code, 0, 'it was not ended by force')
    say(`a hub drained within ${((Date.now() - begun) / 1000).toFixed(1)} s`)
    t.ok(jobs.openRuns > 0)
    await stack.scale('hub', HUBS)
  })

  await t.test('a hub is killed: it comes back, and the others serve meanwhile', async (t) => {
    const unit = await first('hub')
    // What it was answering at that moment is lost, and nothing else.
    await undisturbed(t, stack, () => stack.crash(unit), 1)
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

  await t.test('Redis is restarted', async (t) => {
    await stack.restart('redis')
    await eventually(async () => (await fetch(`${stack.url}/readyz`)).ok, { timeoutMs: 60_000, everyMs: 200 })
    t.ok(await eventually(() => jobs.running().catch(() => 0), { timeoutMs: 60_000, everyMs: 500 }), 'jobs go on')
  })

  await t.test('hubs and workers are rolled, each replaced one after the other, and no request fails', async (t) => {
    const old = new Map<string, string[]>()
    for (const service of ['hub', 'solver', 'benchmark']) old.set(service, await stack.units(service))
    await undisturbed(t, stack, async () => {
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
