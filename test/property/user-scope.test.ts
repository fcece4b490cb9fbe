import t from 'tap'
import type { HubClient } from '../support/hub-client.js'
import { HubWorld } from '../support/hub-client.js'
import { proveProcesses } from '../support/process-proof.js'
import { random } from '../support/random.js'
import type { Message } from '../support/test-client.js'

/** Lives that have found something. */
const FOUND = [340_691_257, 340_743_907, 340_768_065, 340_941_980, 349_095_995]

const STATUS_OF: Readonly<Record<string, string>> = {
  process_queued: 'queued',
  process_started: 'running',
  process_retrying: 'retrying',
  process_paused: 'paused',
  process_cancelling: 'cancelling',
  process_completed: 'completed',
  process_failed: 'failed',
  process_cancelled: 'cancelled',
}

/** What a client that follows the rules believes: the status of each process; none of those that it was told are gone. */
function viewOf(messages: readonly Message[]): Map<string, string> {
  const view = new Map<string, string>()
  const seqs = new Map<string, number>()
  const set = (id: string, seq: number, status: string | undefined, isPosition = false) => {
    if (!isPosition && seq <= (seqs.get(id) ?? 0)) return
    seqs.set(id, seq)
    if (status) view.set(id, status)
  }
  for (const message of messages) {
    if (message.type === 'process_list') {
      for (const { process_id, seq, status } of [...message.processes, ...message.recent]) set(process_id, seq, status, true)
    } else if (message.type === 'subscribed') set(message.process_id, message.seq, message.process.status, true)
    else if (message.type === 'unsubscribed') view.delete(message.process_id)
    else if (message.seq) set(message.process_id, message.seq, STATUS_OF[message.type])
  }
  return view
}

/** One random life of a user with two tabs on a hub whose channels lose, hold and reorder, and whose clients are slow. */
async function live(seed: number, steps: number): Promise<{ world: HubWorld; tabs: HubClient[]; unwanted: Set<string>[] }> {
  const next = random(seed)
  const pick = (n: number) => Math.floor(next() * n)
  const world = new HubWorld({ maxOutboxBytes: 4000, quietMs: 10_000, lingerMs: 1000 })
  const rounds = new Map<string, number>()
  const anId = () => [...rounds.keys()][pick(rounds.size)] ?? 'none'
  const stateOf = async (id: string) => (await world.broker.memory.read(id))?.state
  const tabs = [1, 2].map(() => world.connect(null, { maxSubscriptions: 100 }))
  // Else two strides of the clock may come before a token can be looked at.
  await world.settle()
  const unwanted = tabs.map(() => new Set<string>())
  const aTab = () => pick(tabs.length)
  const acts: (() => unknown)[] = [
    async () => {
      const id = `j${rounds.size}`
      rounds.set(id, 1)
      await world.submit(id)
    },
    () => step(anId(), 'running'),
    () => step(anId(), 'paused'),
    () => step(anId(), 'cancelling'),
    () => world.broker.progress(anId(), pick(90)),
    () => world.broker.metric(anId(), `m${pick(3)}`),
    async () => {
      const id = anId()
      const state = await stateOf(id)
      if (state?.status !== 'running') return
      if (pick(2)) await world.end(id, 'alice', state.round)
      else await world.fail(id, 'alice', state.round)
    },
    async () => {
      const id = anId()
      const state = await stateOf(id)
      if (state?.status === 'failed') await world.retry(id, 'alice', state.round + 1)
    },
    () => {
      if (pick(2)) world.broker.loses += 1
      else world.feeds.loses += 1
    },
    () => {
      world.broker.releaseEntries()
      if (pick(2)) world.broker.holdEntries()
    },
    () => {
      world.feeds.releaseAnnouncements()
      if (pick(2)) world.feeds.holdAnnouncements()
    },
    () => {
      world.broker.releaseReads()
      if (pick(3) === 0) world.broker.holdReads()
    },
    () => {
      world.feeds.releaseReads()
      if (pick(3) === 0) world.feeds.holdReads()
    },
    () => (pick(2) ? world.broker.gap(anId()) : world.feeds.gap('alice')),
    () => tabs[aTab()]?.transport.fill(pick(2) ? 100 : 4100),
    () => tabs[aTab()]?.transport.drain(),
    () => tabs[aTab()]?.transport.drain(),
    () => {
      const [tab, id] = [aTab(), anId()]
      tabs[tab]?.ask({ type: 'subscribe', process_id: id })
      if (rounds.has(id)) unwanted[tab]?.delete(id)
    },
    () => {
      if (pick(4)) return
      const [tab, id] = [aTab(), anId()]
      tabs[tab]?.ask({ type: 'unsubscribe', process_id: id })
      unwanted[tab]?.add(id)
    },
    () => world.settle(),
    () => world.settle(),
    () => world.clock.advance(pick(2) ? 500 : 3000),
  ]
  async function step(id: string, to: 'running' | 'paused' | 'cancelling'): Promise<void> {
    const state = await stateOf(id)
    if (state) await world.broker.status(id, to, state.round)
  }
  for (let i = 0; i < steps; i += 1) {
    for (const tab of tabs) tab.session.touch()
    await acts[pick(acts.length)]?.()
  }
  // The dust settles: everything that is held is let go, and silence finds what is lost.
  world.broker.loses = 0
  world.feeds.loses = 0
  for (let i = 0; i < 6; i += 1) {
    world.broker.releaseEntries()
    world.feeds.releaseAnnouncements()
    world.broker.releaseReads()
    world.feeds.releaseReads()
    for (const { transport, session } of tabs) {
      session.touch()
      transport.drain()
    }
    await world.settle()
    world.clock.advance(10_000)
    await world.settle()
  }
  return { world, tabs, unwanted }
}

t.test('[PROC-4] [PROC-8] [POS-2] whatever happens on the way, each tab can prove what it got and ends with the truth', async (t) => {
  const first = Number(process.env.SEED ?? Date.now() % 1e9)
  const lives = process.env.SEED ? 1 : Number(process.env.LIVES ?? 150)
  for (const seed of [...FOUND, ...Array.from({ length: lives }, (_, i) => first + i)]) {
    const { world, tabs, unwanted } = await live(seed, 250)
    for (const [i, tab] of tabs.entries()) {
      try {
        if (tab.transport.closedWith || tab.transport.terminated) throw new Error(`closed: ${tab.transport.closedWith}`)
        if (tab.faults.length > 0) throw tab.faults[0]
        proveProcesses(tab.messages)
        const view = viewOf(tab.messages)
        for (let j = 0; ; j += 1) {
          const state = (await world.broker.memory.read(`j${j}`))?.state
          if (!state) break
          if (!unwanted[i]?.has(state.id) && view.get(state.id) !== state.status)
            throw new Error(`${state.id} is ${state.status}, tab ${i} believes ${view.get(state.id)}`)
        }
      } catch (error) {
        t.fail(`seed ${seed}: ${error instanceof Error ? error.message : error}`)
        return
      }
      tab.session.ended()
    }
    const leaks = await world.leaks()
    if (leaks.length > 0) return t.fail(`seed ${seed} leaks ${leaks.join(', ')}`)
  }
  t.pass(`${FOUND.length + lives} lives`)
})
