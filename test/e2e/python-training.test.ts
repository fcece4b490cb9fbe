import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { RUNCAST, startCommand } from '../support/command.js'
import { type Harness, startHarness } from '../support/harness.js'
import { assertComplete } from '../support/wire.js'

const EXAMPLE = fileURLToPath(new URL('../../../examples/python-training', import.meta.url))

function start(t: Test): Promise<Harness> {
  return startHarness(t, { processor: null, nodes: 2, env: { KINDS_FILE: join(EXAMPLE, 'kinds.json') } })
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
