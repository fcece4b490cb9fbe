import { deepStrictEqual as deepEqual } from 'node:assert'
import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import type { FairScheduler, QueuedRound } from '../../src/storage/fair-scheduler.js'
import { connectCommands } from '../../src/storage/redis/connection.js'
import { RedisDepths } from '../../src/storage/redis/depths.js'
import { RedisFairScheduler } from '../../src/storage/redis/fair-scheduler.js'
import { RedisKeys } from '../../src/storage/redis/keys.js'
import { GATE_LIMITS } from '../contract/open-scheduler.js'
import { sharedTestRedis } from '../support/redis.js'
import { check } from './check.js'
import { GateModel } from './fair-scheduler-model.js'

type Act = readonly [name: 'enter' | 'next' | 'started' | 'leave' | 'state', pick: number]

const QUEUES = ['run', 'run.other', 'benchmark']
const OWNERS = ['a', 'b', 'c', 'd']
const ROUNDS: readonly QueuedRound[] = Array.from({ length: 24 }, (_, i) => ({
  id: `j${i}`,
  round: 1,
  queue: QUEUES[i % QUEUES.length] ?? 'run',
  isFree: i % 5 === 0,
  priority: [0, 0, 9, 1][i % 4] ?? 0,
  owner: OWNERS[(i * 7) % OWNERS.length] ?? 'a',
}))

const acts: fc.Arbitrary<Act[]> = fc.array(
  fc.tuple(fc.constantFrom('enter', 'enter', 'enter', 'next', 'next', 'started', 'started', 'leave', 'state'), fc.nat(1000)),
  // By default a history would have some ten acts.
  { minLength: 1, maxLength: 100, size: 'max' },
)

const redis = await sharedTestRedis()
const commands = connectCommands({ url: redis.url })
t.teardown(() => commands.disconnect())

/** Does to both what an act says, mostly to a round to which it can be done. */
async function play(gate: FairScheduler, model: GateModel, [name, pick]: Act): Promise<void> {
  const fit = name === 'enter' ? ROUNDS : name === 'started' ? model.window : model.rounds
  const round = (pick % 4 > 0 && fit[pick % fit.length]) || ROUNDS[pick % ROUNDS.length]
  if (!round) throw new RangeError('no round')
  switch (name) {
    case 'enter':
      return deepEqual(await gate.enter(round), model.enter(round))
    case 'next':
      return model.admitted((await gate.next())?.id)
    case 'started':
      return deepEqual(await gate.started(round), model.started(round))
    case 'leave':
      return deepEqual(await gate.leave(round), model.leave(round.id))
    case 'state':
      return deepEqual(await gate.state(round), model.state(round.id))
  }
}

t.test(
  '[FAIR-1] [FAIR-2] [QUOTA-1] [TURN-3] random histories: whoever is admitted may be, nobody waits who need not, and nothing is left',
  async (t) => {
    const property = fc.asyncProperty(acts, fc.integer({ min: 1, max: 3 }), async (history, maxActivePerUser) => {
      const prefix = `test-${randomUUID()}`
      const gate = new RedisFairScheduler(commands, new RedisKeys(prefix), { ...GATE_LIMITS, maxActivePerUser })
      const model = new GateModel(maxActivePerUser)
      for (const act of history) await play(gate, model, act)
      for (const round of ROUNDS) deepEqual(await gate.state(round), model.state(round.id))
      const depths = await new RedisDepths(commands, new RedisKeys(prefix), { maxActivePerUser, maxUsers: 100 }).read()
      for (const queue of QUEUES) {
        const { waiting = 0, held = 0, active = 0 } = depths.find((depth) => depth.queue === queue) ?? {}
        deepEqual({ waiting, held, active }, model.depth(queue), queue)
      }
      for (const round of model.rounds) await gate.leave(round)
      const left = (await commands.keys(`${prefix}*`)).map((key) => key.replace(/^.*\{gate\}:/, '').replace(/:.*$/, ''))
      deepEqual(
        left.filter((name) => !['turn', 'served', 'queues'].includes(name)),
        [],
      )
      await commands.unlink(...['turn', 'queues', ...QUEUES.map((queue) => `served:${queue}`)].map((name) => `${prefix}:{gate}:${name}`))
    })
    await check(t, 'gate', property, 150)
  },
)
