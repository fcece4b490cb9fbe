import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { withBuiltIns } from '../../src/app/define-kind.js'
import { loadKindsFile } from '../../src/config/load-kinds-file.js'
import { kindOf } from '../../src/core/define-kind.js'
import { implement } from '../../src/worker/implement.js'
import { Claimant } from '../support/claimant.js'
import { startHarness } from '../support/harness.js'
import { assertComplete } from '../support/wire.js'

/** In the process dialect, with a schema of its result. */
const tally = {
  name: 'tally',
  input: { properties: { to: { type: 'integer', minimum: 1, default: 3 }, label: { type: 'string', pattern: '^[a-z]+$' } } },
  result: { properties: { sum: { type: 'integer' } }, required: ['sum'], additionalProperties: false },
  attempts: 2,
  timeout_s: 60,
}
/** In the run dialect. */
const training = { name: 'deep-training', dialect: 'run', phases: ['warm-up', 'training'] }

/** A file with these kinds. */
function kindsFile(t: Test, ...kinds: readonly object[]): string {
  const path = join(t.testdir({}), 'kinds.json')
  writeFileSync(path, JSON.stringify({ kinds }))
  return path
}

t.test('[CLAIM-1] [CLAIM-2] [KIND-9] kinds of a file are claimed over HTTP, in both dialects', async (t) => {
  const h = await startHarness(t, { processor: null, nodes: 2, env: { KINDS_FILE: kindsFile(t, tally, training) } })
  t.notOk(h.config.WORKER_KINDS.includes('tally'), 'no worker process waits for its jobs')
  const worker = new Claimant(h)
  t.match(await worker.claim({ kind: 'dream' }), {
    status: 422,
    body: { detail: [{ expected: 'one of run, benchmark, tally, deep-training' }] },
  })

  const asked = await h.call('POST', '/api/v2/deep-trainings', { body: { deep_training_id: 'deep', input: { rate: 0.1 } } })
  t.equal(asked.status, 202)
  const client = await h.connect('deep', { node: 1, path: 'deep-trainings' })
  t.match(await worker.claim({ kind: 'deep-training' }), {
    body: { id: 'deep', kind: 'deep-training', input: { rate: 0.1 }, max_attempts: 1 },
  })
  const progress = { type: 'progress', percent: 50, phase: 'training', message: 'epoch 5' }
  const loss = { type: 'metric_update', metric_name: 'loss', value: 0.5, unit: '' }
  t.match(await worker.post([progress, loss, { type: 'log', line: 'epoch 5' }]), { status: 200 })
  t.match(await client.next('progress'), { deep_training_id: 'deep', percent: 50, phase: 'training' })
  t.match(await client.next('metric_update'), { metric_name: 'loss', value: 0.5 })
  t.match(await worker.post([{ type: 'process_result', result: {} }]), { status: 422, body: { detail: [{ path: '/events/0/type' }] } })
  t.match(await worker.post([{ type: 'completed', metrics_summary: { loss: 0.1 } }]), { status: 200 })
  t.match(await client.next('completed'), { metrics_summary: { loss: 0.1 } })
  assertComplete(t, client.messages)

  const submit = (input: object) => h.call('POST', '/api/processes', { body: { process_type: 'tally', process_id: 'sum', input } })
  t.match(await submit({ to: 0, label: 'A' }), { status: 422, body: { detail: [{ path: '/input/to' }, { path: '/input/label' }] } })
  t.equal((await submit({})).status, 202)
  t.match(await worker.claim({ kind: 'tally' }), { body: { id: 'sum', input: { to: 3 }, max_attempts: 2 } })
  const step = { type: 'process_progress', progress: { current: 1, total: 3, detail: '1 of 3', phase: 'adding', row: 7 } }
  t.match(await worker.post([step, { type: 'process_result', result: { n: 1 } }, { type: 'log', line: 'one' }]), { status: 200 })
  const bad = { type: 'completed', result: { sum: 'six' } }
  t.match(await worker.post([bad]), { status: 422, body: { detail: [{ path: '/events/0/result/sum' }] } })
  t.match(await worker.post([{ type: 'completed', result: { sum: 6 } }], { n: 9 }), { status: 200, body: { status: 'completed' } })
  const { body } = await h.call('GET', '/api/processes/sum/events?after=0', { node: 1 })
  t.match(
    body.events.map(({ type, result }: { type: string; result?: object }) => [type, result]),
    [['process_queued'], ['process_started'], ['process_result', { n: 1 }], ['process_completed', { sum: 6 }]],
  )
  t.match(body.events.at(-1), { progress: { current: 1, total: 3, phase: 'adding', row: 7 } })
  t.same(h.faults, [])
})

t.test('[CLAIM-1] [KIND-4] a kind of a module is claimed, and its worker process obeys the schema of its result', async (t) => {
  const input = { type: 'object', properties: {} } as const
  const result = { type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'] } as const
  const echo = implement(kindOf({ name: 'echo', dialect: 'process', input, result }), { run: async () => ({ ok: 'yes' }) })
  const h = await startHarness(t, { work: [echo], env: { WORKER_KINDS: 'run' } })
  const worker = new Claimant(h)
  const submit = (process_id: string) => h.call('POST', '/api/processes', { body: { process_type: 'echo', process_id, input: {} } })
  await submit('one')
  t.match(await worker.claim({ kind: 'echo' }), { status: 200, body: { id: 'one' } })
  t.match(await worker.post([{ type: 'completed', result: { ok: true } }]), { status: 200 })
  t.match(await h.call('GET', '/api/processes/one'), { body: { result: { type: 'process_completed', result: { ok: true } } } })
  t.same(h.faults, [])
})

t.test('[KIND-9] a file of kinds that is not valid is refused with the path of each fault', async (t) => {
  const known = withBuiltIns([])
  const faultsOf = (...kinds: readonly object[]) => {
    const path = kindsFile(t, ...kinds)
    try {
      loadKindsFile(path, known)
      return 'valid'
    } catch (error) {
      const [first, ...faults] = String(error instanceof Error ? error.message : error).split('\n')
      t.equal(first, `The kinds in ${path} (KINDS_FILE) are not valid:`)
      return faults.map((line) => line.trim())
    }
  }
  t.equal(faultsOf(tally, training), 'valid')
  t.equal(faultsOf({ ...tally, input: { properties: { x: { pattern: '(a+)+$' } } }, trust_patterns: true }), 'valid')
  t.match(faultsOf({ name: 'Train', attempts: 0, colour: 1 }), [
    /^\/kinds\/0\/name: expected /,
    /^\/kinds\/0\/attempts: expected /,
    /^\/kinds\/0\/colour: expected /,
  ])
  t.match(
    faultsOf(tally, {
      name: 'x',
      input: { properties: { a: { type: 'int' }, b: { items: { pattern: '(a+)+$' } } } },
      result: { type: 'array' },
    }),
    [
      /^\/kinds\/1\/input\/properties\/a\/type: expected one of object, /,
      /^\/kinds\/1\/input\/properties\/b\/items\/pattern: expected .*\(a\+\)\+\$ may backtrack$/,
    ],
  )
  t.match(faultsOf({ name: 'x', result: { type: 'array' } }), [
    '/kinds/0/result: expected the JSON Schema of an object, with its properties',
  ])
  t.match(faultsOf({ name: 'x', input: { properties: { a: { pattern: '[' } } } }), [
    /^\/kinds\/0\/input\/properties\/a\/pattern: expected a regular/,
  ])
  t.match(faultsOf({ name: 'x', dialect: 'run', result: {} }), [
    /^\/kinds\/0\/result: expected to be absent/,
    /^\/kinds\/0\/phases: expected the phases/,
  ])
  t.match(faultsOf({ name: 'x', path: 'xs' }), ['/kinds/0/path: expected to be absent in the dialect process'])
  t.match(faultsOf(tally, tally), ['/kinds/1/name: tally is used by another kind or reserved: choose another'])
  t.match(faultsOf({ name: 'run' }), [/^\/kinds\/0\/name: run is used/])
  t.match(faultsOf({ ...training, path: 'runs' }), [/^\/kinds\/0\/path: runs is used/])
  t.throws(() => loadKindsFile('/nowhere/kinds.json', known), {
    name: 'KindsError',
    message: /\/nowhere\/kinds.json .*\n {2}the file cannot be read: ENOENT/,
  })
})
