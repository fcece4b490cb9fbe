import { randomUUID } from 'node:crypto'
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { HORN } from './jobs.js'
import type { Rest } from './rest.js'

const PAUSE_MS = 50
/** What has gone may be missed only then. */
const AFTERWARDS_MS = 1000

/** One request by an agent, to its end; answers what is wrong with it, else null. */
function ask(url: string, agent: Agent, { token, body }: { token?: string; body?: object } = {}): Promise<string | null> {
  const text = body && JSON.stringify(body)
  const headers = {
    ...(token && { authorization: `Bearer ${token}` }),
    ...(text && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
  }
  return new Promise((resolve) => {
    const asked = request(url, { agent, headers, method: text ? 'POST' : 'GET', timeout: 5000 }, (answer) => {
      const isGood = answer.statusCode !== undefined && answer.statusCode < 300
      answer.resume().on('error', (error) => resolve(error.message))
      answer.on('end', () => resolve(isGood ? null : `${answer.statusCode}`))
    })
    asked.on('timeout', () => asked.destroy(new Error('no answer')))
    asked.on('error', (error) => resolve(`${error.message}${asked.reusedSocket ? ' on a connection that was open' : ''}`))
    asked.end(text)
  })
}

/**
 * Whether requests through the load balancer are answered while something goes on, but for so many of each sort: reads on new connections, reads on one that is kept, and submits
 * of a run by an id of their own, each of them again and again. Nothing is tried twice.
 */
export async function undisturbed<T>(t: Test, rest: Rest, what: () => Promise<T>, mayFail = 0): Promise<T> {
  let isOver = false
  const kept = new Agent({ keepAlive: true, maxSockets: 1 })
  const keptForSubmits = new Agent({ keepAlive: true, maxSockets: 1 })
  const body = { run_id: `calm-${randomUUID()}`, input: HORN }
  const sorts = {
    reads: () => ask(`${rest.url}/livez`, new Agent()),
    'reads on a kept connection': () => ask(`${rest.url}/livez`, kept),
    submits: () => ask(`${rest.url}/api/v2/runs`, new Agent(), { token: rest.token, body }),
    'submits on a kept connection': () => ask(`${rest.url}/api/v2/runs`, keptForSubmits, { token: rest.token, body }),
  }
  const asking = Object.entries(sorts).map(async ([name, once]) => {
    let asked = 0
    const wrong: string[] = []
    for (; !isOver; asked += 1) {
      const fault = await once()
      if (fault) wrong.push(fault)
      await sleep(PAUSE_MS)
    }
    t.ok(wrong.length <= mayFail, `${asked} ${name} meanwhile, ${wrong.length} failed: ${wrong.slice(0, 5).join(', ')}`)
  })
  try {
    const result = await what()
    await sleep(AFTERWARDS_MS)
    return result
  } finally {
    isOver = true
    await Promise.all(asking)
    kept.destroy()
    keptForSubmits.destroy()
  }
}
