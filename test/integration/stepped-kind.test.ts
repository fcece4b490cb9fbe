import t from 'tap'
import { createClient } from '../../src/index.js'
import { chainEvents, chainKind } from '../support/chain/kind.js'
import { chainWork } from '../support/chain/work.js'
import { eventually } from '../support/eventually.js'
import { HORN, startHarness } from '../support/harness.js'
import { assertComplete } from '../support/wire.js'

t.test('[KIND-1] [KIND-2] a kind in steps is added by its contract, its work and one line', async (t) => {
  let isOpen = true
  const processor = async (_input: unknown, job: { readonly signal: AbortSignal }) => {
    await eventually(() => isOpen || job.signal.aborted)
    job.signal.throwIfAborted()
    return { metrics_summary: { length: 2 } }
  }
  const h = await startHarness(t, { work: [chainWork], env: { WORKER_KINDS: 'run,chain' }, processor })
  const client = createClient({ url: h.nodes[0]?.http ?? '', token: h.token() })
  t.teardown(() => client.close())
  const input = { links: 3, base: HORN }

  const job = await client.submit(chainKind, input, { id: 'whole' })
  const socket = await h.connect('whole', { path: 'chains' })
  t.match(await job.result(), { metrics_summary: { length: 6 } })
  await socket.next('completed')
  assertComplete(t, socket.messages)
  const { body } = await h.call('GET', '/api/v2/chains/whole/events')
  const links = body.events.filter(({ type }: { type: string }) => type === 'link')
  t.match(links, [{ chain_id: 'whole', length: 2 }, { length: 2 }, { length: 2 }])
  t.match((await h.call('GET', `/api/v2/runs/${links[0].run_id}`)).body, { status: 'completed' })
  t.match((await h.call('GET', '/api/processes/whole')).body, {
    process_type: 'chain',
    status: 'completed',
    result: { result: { length: 6 } },
  })
  t.equal((await h.call('POST', '/api/v2/chains/whole/pause')).status, 409, 'it has ended')
  t.match(await h.call('POST', '/api/v2/chains', { body: { input: { links: 0, base: {} } } }), { status: 422 })

  isOpen = false
  await client.submit(chainKind, { links: 1, base: HORN }, { id: 'again' })
  const { broker } = h.nodes[0]?.hub.parts ?? {}
  const latest = async () => (await broker?.read('again'))?.state
  await eventually(async () => ((await broker?.load('again'))?.children.length ?? 0) > 0)
  const round = (await latest())?.round ?? 0
  await broker?.publish('again', [chainEvents.link('again', 'none', 1)], { round, token: 0, n: 0 })
  await client.job('again').cancel()
  await eventually(async () => (await latest())?.status === 'cancelled')
  t.ok((await latest())?.latest.has('link'))
  await client.job('again').retry()
  t.notOk((await latest())?.latest.has('link'), 'a new round clears the key of the kind')
  isOpen = true
  t.match(await client.job('again').result(), { metrics_summary: { length: 2 } })
  t.same(h.faults, [])
})
