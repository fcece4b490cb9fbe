import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { RuncastError } from '../../src/protocol/codes.js'
import { RUNCAST, startCommand } from '../support/command.js'
import { type Harness, startHarness } from '../support/harness.js'
import { assertComplete } from '../support/wire.js'

const EXAMPLE = fileURLToPath(new URL('../../../examples/python-training', import.meta.url))

function start(t: Test, kindsFile = join(EXAMPLE, 'kinds.json')): Promise<Harness> {
  return startHarness(t, { processor: null, nodes: 2, env: { KINDS_FILE: kindsFile } })
}

/** The script in an empty folder, beside its helper, and the id of its job. */
async function train(t: Test, h: Harness, epochs: number) {
  const folder = t.testdir({})
  for (const file of ['train.py', 'runcast_job.py']) cpSync(join(EXAMPLE, file), join(folder, file))
  const env = { RUNCAST_URL: `${h.nodes[0]?.http}`, RUNCAST_TOKEN: h.token('alice'), PYTHONDONTWRITEBYTECODE: '1' }
  const script = startCommand(t, 'python3', [join(folder, 'train.py'), `${epochs}`], { env })
  const [, id = ''] = await script.printed(/^job (\S+)\n/)
  return { script, id }
}

t.test('[CLAIM-11] a training script in Python: curve, log and file, seen on another hub', async (t) => {
  const h = await start(t)
  const { script, id } = await train(t, h, 60)
  const client = await h.connect(id, { node: 1, path: 'trainings' })
  t.match(await client.next('progress'), { phase: 'training', message: /^epoch \d+ of 60$/ })
  t.match(await client.next('metric_update'), { metric_name: 'loss' })
  t.match(await client.next('completed'), { metrics_summary: { loss: Number }, attempts: 1 })
  assertComplete(t, client.messages)
  t.match(await script.ended, { code: 0, stderr: '' })
  const get = async (path: string) => {
    const headers = { authorization: `Bearer ${h.token('alice')}` }
    return (await fetch(`${h.nodes[1]?.http}/api/jobs/${id}/${path}`, { headers })).text()
  }
  const curve = JSON.parse(await get('series?metric=loss'))
  t.match(JSON.stringify(curve), /"n":60/, 'every point')
  t.match(JSON.parse(await get('log')).lines, [{ text: /^epoch 10: loss / }])
  t.match(JSON.parse(await get('artifacts/model.json')), { slope: Number, start: Number })
  t.match((await h.call('GET', `/api/jobs/${id}`, { node: 1 })).body, { title: 'a line' })
  t.same(h.faults, [])
})

const SUM = `
from runcast_job import submit
with submit("sum", {"to": 3}, id="sum") as job:
    for i in range(1, job.input["to"] + 1):
        job.metric("part", i, step=i)
        job.result(part=i)
        job.progress(100 * i / 3, "adding", "%d of 3" % i)
    job.log("done")
    job.complete(result={"sum": 6})
`

t.test('[CLAIM-11] a script in Python computes a kind in the process dialect', async (t) => {
  const folder = t.testdir({ 'sum.py': SUM, 'kinds.json': '{"kinds":[{"name":"sum","input":{"properties":{"to":{"type":"integer"}}}}]}' })
  cpSync(join(EXAMPLE, 'runcast_job.py'), join(folder, 'runcast_job.py'))
  const h = await start(t, join(folder, 'kinds.json'))
  const env = { RUNCAST_URL: `${h.nodes[0]?.http}`, RUNCAST_TOKEN: h.token('alice'), PYTHONDONTWRITEBYTECODE: '1' }
  t.match(await startCommand(t, 'python3', [join(folder, 'sum.py')], { env }).ended, { code: 0, stderr: '' })
  const read = async (path: string) => (await h.call('GET', `/api/jobs/sum${path}`, { node: 1 })).body
  const progress = { current: 100, total: 100, detail: '3 of 3', phase: 'adding' }
  t.match(await read(''), { status: 'completed', progress, final: { type: 'process_completed', result: { sum: 6 } } })
  const { events } = await read('/events')
  const results = events.filter(({ type }: { type: string }) => type === 'process_result')
  t.match(results, [{ result: { part: 1 } }, { result: { part: 2 } }, { result: { part: 3 } }])
  t.match(await read('/series?metric=part'), { n: 3 })
  t.match(await read('/log'), { lines: [{ text: 'done' }] })
  t.same(h.faults, [])
})

const LOOSE = `
import time
from runcast_job import submit
with submit("sum", {"to": 3}, id="stored") as job:
    job.artifact("a.txt", "a")
    job.complete(result={"sum": 6})
with submit("sum", {"to": 3}, id="lossy") as job:
    job.metric("part", float("nan"), step=1)
    while not job.fault:
        time.sleep(0.01)
    job.complete(result={"sum": 6})
`

t.test('[CLAIM-11] a script in Python repeats an upload, and fails with a refused report', async (t) => {
  const folder = t.testdir({
    'loose.py': LOOSE,
    'kinds.json': '{"kinds":[{"name":"sum","input":{"properties":{"to":{"type":"integer"}}}}]}',
  })
  cpSync(join(EXAMPLE, 'runcast_job.py'), join(folder, 'runcast_job.py'))
  const h = await startHarness(t, {
    processor: null,
    env: { KINDS_FILE: join(folder, 'kinds.json'), WORKER_LOCK_MS: '2000' },
  })
  const service = h.nodes[0]?.hub.parts.artifacts
  if (!service) throw new Error('no node')
  const put = service.put.bind(service)
  let tries = 0
  service.put = async (upload) => {
    tries += 1
    if (tries <= 3) throw new RuncastError('overloaded', { retryAfterMs: 1000 })
    return put(upload)
  }
  const env = { RUNCAST_URL: `${h.nodes[0]?.http}`, RUNCAST_TOKEN: h.token('alice'), PYTHONDONTWRITEBYTECODE: '1' }
  t.match(await startCommand(t, 'python3', [join(folder, 'loose.py')], { env }).ended, { code: 1, stderr: /ValueError/ })
  t.equal(tries, 4, 'for longer than one lease')
  t.match((await h.call('GET', '/api/jobs/stored')).body, { status: 'completed' })
  t.match((await h.call('GET', '/api/jobs/lossy')).body, { status: 'failed' })
})

t.test('[CLAIM-11] a training script in Python obeys a cancel from the command line', async (t) => {
  const h = await start(t)
  const { script, id } = await train(t, h, 1_000_000)
  const client = await h.connect(id, { path: 'trainings' })
  await client.next('progress')
  const env = { RUNCAST_URL: `${h.nodes[1]?.http}`, RUNCAST_TOKEN: h.token('alice') }
  t.match(await startCommand(t, process.execPath, [RUNCAST, 'cancel', id], { env }).ended, { code: 0 })
  t.notOk((await client.next('cancelled')).forced)
  t.match(await script.ended, { code: 0, stderr: '' })
  t.same(h.faults, [])
})
