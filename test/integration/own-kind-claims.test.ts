import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { withBuiltIns } from '../../src/app/define-kind.js'
import { loadKindsFile } from '../../src/config/load-kinds-file.js'
import { kindOf } from '../../src/core/define-kind.js'
import { implement } from '../../src/worker/implement.js'
import { Claimant, workerToken } from '../support/claimant.js'
import { eventually } from '../support/eventually.js'
import { type Answer, type CallOptions, type Harness, startHarness } from '../support/harness.js'
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
    body: { id: 'deep', kind: 'deep-training', dialect: 'run', input: { rate: 0.1 }, max_attempts: 1 },
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
  t.match(await worker.claim({ kind: 'tally' }), { body: { id: 'sum', dialect: 'process', input: { to: 3 }, max_attempts: 2 } })
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

/** A submit of a job that its sender computes. */
function own(h: Harness, body: object, options: Omit<CallOptions, 'body'> = {}): Promise<Answer> {
  return h.call('POST', '/api/jobs', { ...options, body: { kind: 'deep-training', input: {}, claim: true, ...body } })
}

/** A report on a job by the holder of a token. */
function report(h: Harness, lease: Lease, n: number, events: readonly object[], options: Omit<CallOptions, 'body'> = {}): Promise<Answer> {
  const { id, round, token } = lease
  return h.call('POST', `/api/v2/jobs/${id}/events`, { ...options, body: { round, token, n, events } })
}

interface Lease {
  readonly id: string
  readonly round: number
  readonly token: number
}

const PROGRESS = { type: 'progress', percent: 10, phase: 'training', message: 'epoch 1' }
const LOSS = { type: 'metric_update', metric_name: 'loss', value: 1, unit: '' }
const COMPLETED = { type: 'completed', metrics_summary: { loss: 1 } }

t.test('[CLAIM-11] a user computes an own job: nobody else gets it, and a cancel reaches it', async (t) => {
  const env = { KINDS_FILE: kindsFile(t, tally, training), MAX_ACTIVE_JOBS_PER_USER: '1', WORKER_KINDS: 'run' }
  const h = await startHarness(t, { processor: null, nodes: 2, env })
  const mine = await own(h, { id: 'mine', input: { rate: 1 } })
  const expected = { id: 'mine', kind: 'deep-training', input: { rate: 1 }, round: 1, attempt: 1, max_attempts: 1, lease_s: 10 }
  t.match(mine, { status: 201, body: { ...expected, links: { self: '/api/jobs/mine' } } })
  t.equal(mine.headers.get('location'), '/api/jobs/mine')
  const { token } = mine.body
  t.match(await own(h, { id: 'mine', input: { rate: 1 } }, { node: 1 }), { status: 201, body: { ...expected, token } }, 'the same lease')
  t.match(await own(h, { id: 'mine' }, { sub: 'bob' }), { status: 409, body: { error: 'id_taken' } })
  const client = await h.connect('mine', { node: 1, path: 'deep-trainings' })
  const other = await own(h, { id: 'other' })
  t.equal(other.status, 201, 'it takes no slot of a worker')
  const worker = new Claimant(h)
  t.equal((await worker.claim({ kind: 'deep-training', wait_s: 0 })).status, 204)
  t.match(await worker.claim({ kind: 'run', solver: '_owner', wait_s: 0 }), { status: 422 })

  const admin = h.token('root', { claims: { role: 'admin' } })
  const workerAlice = workerToken('alice')
  const strangers: [who: string, CallOptions, status: number][] = [
    ['other user', { sub: 'bob' }, 404],
    ['worker', { token: workerToken() }, 409],
    ['worker of the same name', { token: workerAlice }, 409],
    ['admin', { token: admin }, 403],
    ['none', { token: null }, 401],
  ]
  const put = async (token: string | null, lease: Lease = mine.body) => {
    const path = `/api/v2/jobs/${lease.id}/artifacts/a.txt?round=${lease.round}&claim_token=${lease.token}`
    const headers = { 'content-type': 'text/plain', ...(token && { authorization: `Bearer ${token}` }) }
    return (await fetch(`${h.nodes[1]?.http}${path}`, { method: 'PUT', headers, body: 'x' })).status
  }
  for (const [who, options, status] of strangers) {
    t.equal((await report(h, mine.body, 1, [COMPLETED], options)).status, status, who)
    t.equal(await put(options.token === undefined ? h.token(options.sub) : options.token), status, `${who}, an artifact`)
  }
  t.equal((await report(h, { ...mine.body, token: 9 }, 1, [COMPLETED])).status, 409, 'another lease')
  t.equal((await report(h, { ...mine.body, id: 'nobody' }, 1, [])).status, 404)
  // A job for workers, leased to a worker that has the name of its owner.
  const plain = (await h.call('POST', '/api/jobs', { body: { kind: 'deep-training', input: {} } })).body.id
  const named = new Claimant(h, 'alice')
  t.match(await named.claim({ kind: 'deep-training' }), { status: 200, body: { id: plain } })
  t.match(await report(h, named.job, 1, [COMPLETED]), { status: 403, body: { error: 'forbidden' } })
  t.equal(await put(h.token(), named.job), 403)

  t.match(await report(h, mine.body, 1, [PROGRESS, LOSS, { type: 'log', line: 'epoch 1' }], { node: 1 }), { status: 200 })
  t.match(await client.next('progress'), { percent: 10 })
  t.match(await client.next('metric_update'), { value: 1 })
  t.equal(await put(h.token()), 201)
  t.match(await own(h, { id: 'mine', input: { rate: 1 } }), { status: 409, body: { error: 'stale_writer' } }, 'after the first post')
  t.match(await report(h, mine.body, 2, [{ type: 'released' }]), { status: 422 })
  t.equal((await h.call('POST', '/api/v2/deep-trainings/mine/cancel', { node: 1 })).status, 202)
  t.match(await report(h, mine.body, 3, []), { status: 200, body: { status: 'cancelling', cancel_requested: true } })
  t.match(await report(h, mine.body, 4, [{ type: 'cancelled' }]), { status: 200, body: { status: 'cancelled' } })
  t.match(await client.next('cancelled'), { percent: 10 })
  t.match(await own(h, { id: 'mine', input: { rate: 1 } }), { status: 409, body: { error: 'already_final' } })
  t.match(await h.call('POST', '/api/jobs/mine/retry'), { status: 409, body: { error: 'is_owned' } })
  const failed = { type: 'failed', error: 'nan', retry: true }
  t.match(await report(h, other.body, 1, [failed]), { status: 200, body: { status: 'failed' } }, 'it has one attempt')
  t.match((await h.call('GET', '/api/jobs/other')).body, { solver: null, final: { type: 'error', error: 'nan' } })
  t.same(h.faults, [])
})

t.test('[CLAIM-11] what cannot be computed by its owner is refused', async (t) => {
  const h = await startHarness(t, { processor: null, env: { KINDS_FILE: kindsFile(t, tally, training) } })
  t.match(await own(h, { input: 5 }), { status: 422, body: { detail: [{ path: '/input' }] } })
  t.match(await own(h, { kind: 'optimization' }), { status: 422, body: { detail: [{ path: /^\/(claim|input)/ }] } })
  t.match(await own(h, { solver: 'x' }), { status: 422, body: { detail: [{ path: '/solver' }] } })
  t.match(await own(h, {}, { headers: { accept: 'text/event-stream' } }), { status: 422, body: { detail: [{ path: '/claim' }] } })
  t.equal((await own(h, {}, { token: workerToken() })).status, 403)
  t.equal((await own(h, { id: 'a' })).status, 201)
  t.match(await own(h, { id: 'a', claim: false }), { status: 409, body: { error: 'other_input' } })
  t.match(await own(h, { id: 'b', claim: false }), { status: 202 })
  t.match(await own(h, { id: 'b' }), { status: 409, body: { error: 'other_input' } })
  t.same(h.faults, [])
})

t.test('[CLAIM-11] many submits at once each get their own lease; a lost owner ends the job', async (t) => {
  const SHORT = { WORKER_LOCK_MS: '1000', SWEEP_INTERVAL_MS: '200' }
  const h = await startHarness(t, { processor: null, nodes: 2, env: { ...SHORT, KINDS_FILE: kindsFile(t, training) } })
  const ids = Array.from({ length: 12 }, (_, i) => `job-${i}`)
  const answers = await Promise.all(ids.map((id, i) => own(h, { id }, { node: i % 2, sub: `user-${i % 3}` })))
  t.same(
    answers.map(({ status, body }) => [status, body.id]),
    ids.map((id) => [201, id]),
  )
  // Stored by a hub that has died before it leased the job.
  const unclaimed = { id: 'unclaimed', kind: 'deep-training', input: {}, owner: 'alice', claim: true }
  await h.nodes[0]?.hub.jobs.submit(unclaimed)
  const view = async (id: string, sub: string) => (await h.call('GET', `/api/jobs/${id}`, { sub })).body.final
  await eventually(async () => (await view('unclaimed', 'alice')) !== null)
  t.match(await view('unclaimed', 'alice'), { type: 'error', code: 'worker_lost' })
  await eventually(async () => (await view('job-0', 'user-0')) !== null)
  t.match(await view('job-0', 'user-0'), { type: 'error', code: 'worker_lost' })
  t.equal((await report(h, answers[0]?.body, 1, [COMPLETED], { sub: 'user-0' })).status, 409)
  t.same(h.faults, [])
})

t.test('[CLAIM-12] the token of a worker may name the kinds that it may claim', async (t) => {
  const h = await startHarness(t, { processor: null, env: { KINDS_FILE: kindsFile(t, tally, training) } })
  const tokenFor = (kinds: unknown) => h.token('worker-1', { claims: { role: 'worker', kinds } })
  const claim = (kind: string, kinds: unknown) => h.call('POST', '/api/v2/jobs/claim', { token: tokenFor(kinds), body: { kind } })
  await h.call('POST', '/api/processes', { body: { process_type: 'tally', process_id: 'sum', input: {} } })
  t.match(await claim('tally', ['run', 'deep-training']), { status: 403, body: { message: /run, deep-training\.$/ } })
  t.match(await claim('tally', []), { status: 403, body: { message: /none\.$/ } })
  t.match(await claim('tally', [5]), { status: 401, body: { message: /token claim kinds/ } })
  t.equal((await claim('run', 'run')).status, 204)
  const { body } = await claim('tally', ['tally'])
  t.match(body, { id: 'sum' })
  t.equal((await report(h, body, 1, [], { token: tokenFor('run') })).status, 403, 'nor report on others')
  const end = { type: 'completed', result: { sum: 6 } }
  t.match(await report(h, body, 1, [end], { token: tokenFor('tally') }), { status: 200, body: { status: 'completed' } })
  t.equal(
    (await h.call('GET', '/api/processes/sum', { token: h.token('alice', { claims: { kinds: [5] } }) })).status,
    200,
    'only of workers',
  )
  t.same(h.faults, [])
})
