import { randomUUID } from 'node:crypto'
import type { Test } from 'tap'
import type { FairScheduler, QueuedRound, SchedulerLimits } from '../../src/storage/fair-scheduler.js'
import { connectCommands } from '../../src/storage/redis/connection.js'
import { RedisFairScheduler } from '../../src/storage/redis/fair-scheduler.js'
import { RedisKeys } from '../../src/storage/redis/keys.js'

export const GATE_LIMITS: SchedulerLimits = {
  maxActivePerUser: 2,
  maxPerHour: 1000,
  maxWaitingPerUser: 1000,
  maxWaiting: 1000,
  maxBytesPerUser: 1_000_000,
}

/** A node's gate; on a prefix of its own, unless one is given: then it is another node of the same cluster. */
export function openGate(t: Test, url: string, limits: Partial<SchedulerLimits> = {}, prefix = `test-${randomUUID()}`): FairScheduler {
  const commands = connectCommands({ url })
  t.teardown(() => commands.disconnect())
  return new RedisFairScheduler(commands, new RedisKeys(prefix), { ...GATE_LIMITS, ...limits })
}

/** The first round of a job whose id begins with its owner's name. */
export function roundOf(id: string, queue = 'run'): QueuedRound {
  return { id, round: 1, queue, owner: id.replace(/-.*$/, ''), isFree: false }
}

/** Lets rounds wait, in this order. */
export async function enterAll(gate: FairScheduler, ids: readonly string[], queue?: string): Promise<void> {
  for (const id of ids) await gate.enter(roundOf(id, queue))
}

/** Admits and starts rounds, until none may be; answers their ids. */
export async function takeAll(gate: FairScheduler, most: number = Number.MAX_SAFE_INTEGER): Promise<string[]> {
  const taken: string[] = []
  while (taken.length < most) {
    const round = await gate.next()
    if (!round) break
    taken.push(round.id)
    await gate.started(round)
  }
  return taken
}
