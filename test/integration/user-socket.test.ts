import t from 'tap'
import { JobFailure } from '../../src/worker/processor.js'
import { eventually } from '../support/eventually.js'
import { startHarness } from '../support/harness.js'
import { proveProcesses } from '../support/process-proof.js'
import { random } from '../support/random.js'
import { Stage } from '../support/stage.js'
import { hasEnded, messagesOf, openTab, submit, textsOf } from '../support/tab.js'
import type { Message, TestClient } from '../support/test-client.js'
import { tokenOf } from '../support/tokens.js'

t.setTimeout(120_000)

const stage = new Stage()
const h = await startHarness(t, { nodes: 2, processor: stage.processor, env: { WORKER_CONCURRENCY: '32', QUIET_MS: '60000' } })

t.test('[PROC-2] [PROC-4] two tabs of a user on two nodes get the same, the other user not a byte', async (t) => {
  const tabs = [await openTab(h, 0), await openTab(h, 1), await openTab(h, 0)]
  const other = await openTab(h, 1, 'bob')
  const ids = await Promise.all([0, 1, 0, 1].map((node, i) => submit(h, `shared-${i}`, { node })))
  for (const tab of tabs) for (const id of ids) await eventually(() => messagesOf(tab, id).some(({ type }) => type === 'process_started'))
  await Promise.all(ids.map((id) => stage.perform(id, 10)))
  for (const tab of tabs) for (const id of ids) await eventually(() => hasEnded(tab, id))
  for (const id of ids) {
    const [first, ...others] = tabs.map((tab) => textsOf(tab, id))
    for (const texts of others) t.same(texts, first, id)
    t.match(JSON.parse(first?.[0] ?? ''), { type: 'process_queued', seq: 1, process_type: 'solver' })
    t.match(JSON.parse(first?.at(-1) ?? ''), { type: 'process_completed', result: { reports: 10 } })
  }
  for (const tab of tabs) proveProcesses(tab.messages)
  await other.silence(100)
  t.equal(other.messages.length, 1)
})

t.test('[PROC-2] a job that is started through REST on one node shows in the tab on the other, from its first message on', async (t) => {
  for (const node of [0, 1]) {
    const tab = await openTab(h, 1 - node)
    const id = await submit(h, `from-node-${node}`, { node })
    t.match(await tab.next(), { type: 'process_queued', process_id: id, seq: 1 })
    t.match(await tab.next(), { type: 'process_started', process_id: id, seq: 2 })
    const { complete } = await stage.play(id)
    complete()
    t.match(await tab.next(), { type: 'process_completed', process_id: id })
  }
})

t.test('[PROC-4] ten users, random jobs: each message goes to its owner, to all of the owner’s tabs, and to nobody else', async (t) => {
  const seed = Number(process.env.SEED ?? Date.now() % 1e9)
  t.comment(`seed ${seed}`)
  const next = random(seed)
  const pick = (n: number) => Math.floor(next() * n)
  const users = Array.from({ length: 10 }, (_, i) => `user${i}`)
  const tabs: [string, TestClient][] = []
  for (const sub of users) for (const node of [0, 1]) tabs.push([sub, await openTab(h, node, sub)])
  const owners = new Map<string, string>()
  const work = Array.from({ length: 40 }, async (_, i) => {
    const sub = users[pick(10)] ?? ''
    const [id, rounds, ending, node] = [`random-${seed}-${i}`, pick(6), pick(4), pick(2)]
    owners.set(id, sub)
    await submit(h, id, { sub, node })
    const { job, complete, fail } = await stage.play(id)
    for (let round = 0; round < rounds; round += 1) {
      job.progress({ percent: round, phase: 'solving', message: id })
      await job.flush()
    }
    if (ending === 0) await h.call('POST', `/api/v2/runs/${id}/cancel`, { sub, node: 1 - node })
    else if (ending === 1) fail(new JobFailure('solver_error', id))
    else complete()
  })
  await Promise.all(work)
  for (const [id, owner] of owners) for (const [sub, tab] of tabs) if (sub === owner) await eventually(() => hasEnded(tab, id))
  let checked = 0
  for (const [sub, tab] of tabs) {
    for (const message of tab.messages) {
      const views: Message[] = message.type === 'process_list' ? [...message.processes, ...message.recent] : [message]
      for (const { process_id } of views) {
        if (owners.get(process_id) !== sub) t.fail(`${sub} got ${JSON.stringify(message)}`)
        checked += 1
      }
    }
    for (const [id, owner] of owners) {
      const persisted = (client: TestClient) => messagesOf(client, id).filter(({ type }) => type !== 'process_progress')
      const twin = tabs.find(([name, client]) => name === sub && client !== tab)?.[1] as TestClient // each user has two
      if (owner === sub) t.same(persisted(tab).map(idAndSeq), persisted(twin).map(idAndSeq))
      else t.same(messagesOf(tab, id), [], `${sub} knows of ${id}`)
    }
    proveProcesses(tab.messages)
  }
  t.ok(checked > 200, `${checked} messages`)
})

function idAndSeq({ type, seq }: Message): [string, number] {
  return [type, seq]
}

t.test('[PROC-6] subscribe resumes: exactly what was missed, on any node, and the whole state where that cannot be', async (t) => {
  const id = await submit(h, 'resumed')
  const tab = await openTab(h)
  const log = await openTab(h, 1)
  const { job, complete } = await stage.play(id)
  for (let i = 1; i <= 3; i += 1) {
    job.progress({ percent: i, phase: 'solving', message: '' })
    await eventually(() => messagesOf(log, id).at(-1)?.progress?.current === i)
    job.metric('m', i, 'Hz')
    await job.flush()
  }
  const [{ epoch }] = log.messages[0].processes.filter(({ process_id }: Message) => process_id === id)
  const { seq: now } = (await h.call('GET', `/api/v2/runs/${id}`)).body
  for (const node of [0, 1]) {
    const back = await openTab(h, node)
    for (let after = 0; after <= now; after += 1) {
      const from = back.messages.length
      back.send({ type: 'subscribe', process_id: id, after, epoch })
      t.match(await back.next('subscribed'), { process_id: id, recovered: true, seq: now, epoch })
      back.send({ type: 'ping' })
      await back.next('pong')
      const expected = [
        ...(after < 1 ? ['process_queued'] : []),
        ...(after < 2 ? ['process_started'] : []),
        ...(after < lastTick(log, id) ? ['process_progress'] : []),
      ]
      t.same(
        back.messages
          .slice(from)
          .filter(({ type }) => type !== 'pong' && type !== 'subscribed')
          .map(({ type }) => type),
        expected,
        `after ${after}`,
      )
    }
    for (const position of [{ after: now + 1, epoch }, { after: 1, epoch: 'another' }, { after: 1 }, { epoch }, {}]) {
      back.send({ type: 'subscribe', process_id: id, ...position })
      t.match(await back.next('subscribed'), { recovered: false, process: { progress: { current: 3 } } })
      t.match(await back.next(), { type: 'process_progress', progress: { current: 3 } })
    }
    proveProcesses(back.messages)
  }
  complete()
  for (const client of [tab, log]) await eventually(() => hasEnded(client, id))
  const late = await openTab(h)
  late.send({ type: 'subscribe', process_id: id, after: now, epoch })
  t.match(await late.next('subscribed'), { recovered: true, process: { status: 'completed' } })
  t.match(await late.next(), { type: 'process_completed', process_id: id })
})

function lastTick(client: TestClient, id: string): number {
  return messagesOf(client, id).findLast(({ type }) => type === 'process_progress').seq
}

t.test('[PROC-6] unsubscribe: nothing more of it, until it is subscribed again', async (t) => {
  const id = await submit(h, 'left-alone')
  const tab = await openTab(h)
  const log = await openTab(h, 1)
  const { job, complete } = await stage.play(id)
  tab.send({ type: 'unsubscribe', process_id: id })
  t.match(await tab.next('unsubscribed'), { process_id: id })
  job.progress({ percent: 5, phase: 'solving', message: '' })
  await eventually(() => messagesOf(log, id).at(-1)?.progress?.current === 5)
  await tab.silence(50)
  tab.send({ type: 'subscribe', process_id: id })
  t.match(await tab.next(), { type: 'subscribed', process: { progress: { current: 5 } } })
  complete()
  await tab.next('process_completed')
  proveProcesses(tab.messages)
})

t.test('[PROC-7] cancel_process, on another node than the worker’s and than the submit’s', async (t) => {
  const tab = await openTab(h, 1)
  const id = await submit(h, 'cancelled-here')
  await stage.play(id)
  tab.send({ type: 'cancel_process', process_id: id })
  t.match(await tab.next('cancel_accepted'), { process_id: id, status: 'cancelling' })
  await eventually(() => hasEnded(tab, id))
  // The answer may come after the end.
  t.equal(messagesOf(tab, id).findLast(({ type }) => type !== 'cancel_accepted')?.type, 'process_cancelled')
  tab.send({ type: 'cancel_process', process_id: id })
  t.match(await tab.next('refused'), { request: 'cancel_process', process_id: id, code: 'already_final' })
  proveProcesses(tab.messages)
})

t.test('[MSG-4] [MSG-5] [JOB-3] refused requests, each with its code, and the socket lives', async (t) => {
  const id = await submit(h, 'foreign')
  const bob = await openTab(h, 1, 'bob')
  const asks: [message: unknown, request: string | null, code: string][] = [
    [{ type: 'subscribe', process_id: id }, 'subscribe', 'not_found'],
    [{ type: 'cancel_process', process_id: id }, 'cancel_process', 'not_found'],
    [{ type: 'subscribe', process_id: 'unknown' }, 'subscribe', 'not_found'],
    [{ type: 'cancel_process', process_id: '../..' }, 'cancel_process', 'not_found'],
    [{ type: 'subscribe' }, 'subscribe', 'invalid'],
    [{ type: 'subscribe', process_id: 5 }, 'subscribe', 'invalid'],
    [{ type: 'subscribe', process_id: id, after: -1 }, 'subscribe', 'invalid'],
    [{ type: 'unsubscribe' }, 'unsubscribe', 'invalid'],
    [{ type: 'cancel' }, 'cancel', 'invalid'],
    [{ type: 'process_list' }, 'process_list', 'invalid'],
    ['not JSON', null, 'invalid'],
    [Buffer.from([1, 2]), null, 'invalid'],
  ]
  for (const [message, request, code] of asks) {
    bob.send(message)
    t.match(await bob.next(), { type: 'refused', request, code }, JSON.stringify(message))
  }
  bob.send({ type: 'ping' })
  t.same(await bob.next(), { type: 'pong' })
  t.equal(bob.texts.join().includes('alice'), false, 'not a word of it')
  ;(await stage.play(id)).complete()
})

t.test('[PROC-6] an admin may subscribe to and cancel anybody’s', async (t) => {
  const id = await submit(h, 'of-somebody', { sub: 'carol' })
  await stage.play(id)
  const root = await openTab(h, 1, 'root', adminToken())
  t.same(root.messages[0].processes, [], 'its list is its own')
  root.send({ type: 'subscribe', process_id: id })
  t.match(await root.next('subscribed'), { process_id: id, process: { status: 'running' } })
  root.send({ type: 'cancel_process', process_id: id })
  await root.next('process_cancelled')
  proveProcesses(root.messages)
})

function adminToken(): string {
  return tokenOf({ sub: 'root', role: 'admin', exp: Math.floor(Date.now() / 1000) + 600 })
}

t.test(
  '[PROC-1] a connection that is cut in the middle, back on the other node: the list has it with its progress, live goes on',
  async (t) => {
    const id = await submit(h, 'cut-off')
    const before = await openTab(h)
    const { job, complete } = await stage.play(id)
    job.progress({ percent: 20, phase: 'meshing', message: 'before' })
    const { seq } = await before.next('process_progress')
    before.terminate()
    await before.closed
    job.progress({ percent: 40, phase: 'solving', message: 'meanwhile' })
    await eventually(async () => (await h.call('GET', `/api/v2/runs/${id}`)).body.percent === 40)
    const after = await openTab(h, 1)
    const [view] = after.messages[0].processes.filter(({ process_id }: Message) => process_id === id)
    t.match(view, { status: 'running', progress: { current: 40, total: 100, detail: 'meanwhile', phase: 'solving' } })
    t.ok(view.seq > seq)
    job.progress({ percent: 60, phase: 'solving', message: 'after' })
    t.match(await after.next(), { type: 'process_progress', process_id: id, progress: { current: 60 }, seq: view.seq + 1 })
    complete({ f: 19_955.6 })
    t.match(await after.next(), { type: 'process_completed', result: { f: 19_955.6 } })
    t.equal((await h.call('GET', `/api/v2/runs/${id}`)).body.status, 'completed')
    t.match((await openTab(h)).messages[0].recent[0], { process_id: id, status: 'completed' })
    proveProcesses(after.messages)
  },
)

t.test('none of this was a fault of the hub', async (t) => {
  t.same(h.faults, [])
})
