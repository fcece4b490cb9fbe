import { isFinal, isStatus } from '../../../src/protocol/status.js'
import type { Witness } from './witness.js'

/** What the queues keep for themselves. */
const OF_THE_QUEUES = /:(meta|id|events|marker|stalled-check|stalled)$/

/** What the fair scheduler remembers of users for an hour, its count, and the names of its queues. */
const OF_THE_GATE = /^runcast:\{gate\}:(hour:.*|served:[a-z.-]+|turn|queues)$/

/** What is left of jobs that have ended, beside their state, their log and their place among their owner's: nothing, once all has been tidied up. */
export async function leftovers({ commands, keys }: Witness, ids: readonly string[]): Promise<string[]> {
  const found: string[] = []
  const rounds = await commands.zrange(keys.active(), '0', '-1', 'WITHSCORES')
  for (let i = 0; i < rounds.length; i += 2) {
    const status = await commands.hget(keys.job(rounds[i]?.split('~')[0] ?? ''), 'status')
    found.push(`the sweeper still checks ${rounds[i]}, which is ${status}, at ${new Date(Number(rounds[i + 1])).toISOString()}`)
  }
  const own = new Set(ids.flatMap((id) => keys.all(id)))
  for (const key of await allKeys(commands)) {
    if (own.has(key)) continue
    if (key.startsWith(keys.queues()) && !OF_THE_QUEUES.test(key)) found.push(`${key} is left in a queue`)
    if (/^runcast:user:.*:active$/.test(key)) found.push(`${key} has ${await commands.zrange(key, '0', '-1')}`)
    if (key.startsWith('runcast:{gate}:') && !OF_THE_GATE.test(key)) found.push(`${key} is left of the fair scheduler`)
    if (ids.some((id) => key.includes(`${id}~`) || key.includes(`{${id}}`))) found.push(`${key} is left of a job`)
  }
  return [...new Set(found)]
}

/** Jobs that have not ended, with all that Redis knows of them. */
export async function unfinished({ commands, keys }: Witness, ids: readonly string[]): Promise<string[]> {
  const found: string[] = []
  for (const id of ids) {
    const status = await commands.hget(keys.job(id), 'status')
    if (!status || !isStatus(status) || !isFinal(status)) found.push(`${id} is ${status ?? 'gone'}`)
  }
  return found
}

/** Everything that is known of a job, for whoever has to find out why it does not end. */
export async function describe({ commands, keys }: Witness, id: string): Promise<string> {
  const state = await commands.hgetall(keys.job(id))
  const queued: Record<string, unknown> = {}
  for (const key of await allKeys(commands)) {
    if (key.includes(`${id}~`) && (await commands.type(key)) === 'hash') queued[key] = await commands.hgetall(key)
  }
  const index = (await commands.zrange(keys.active(), '0', '-1', 'WITHSCORES')).join(' ')
  return JSON.stringify({ id, state, queued, index }, null, 1)
}

async function allKeys(commands: Witness['commands']): Promise<string[]> {
  const keys = new Set<string>()
  let cursor = '0'
  do {
    const [next, found] = await commands.scan(cursor, 'COUNT', 1000)
    for (const key of found) keys.add(key)
    cursor = next
  } while (cursor !== '0')
  return [...keys]
}
