import { execFile, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { Claimant, workerToken } from '../support/claimant.js'
import { eventually } from '../support/eventually.js'
import { type Harness, startHarness } from '../support/harness.js'
import { startHub } from '../support/hub-process.js'
import { solversFile } from '../support/solvers.js'
import { killProcess, startWorkerProcess } from '../support/worker-process.js'

t.setTimeout(200_000)

const SIZE = 100 * 1024 * 1024
const SOON = { timeoutMs: 60_000, everyMs: 5 }

const sha256 = (content: Buffer) => createHash('sha256').update(content).digest('hex')

/** Runs curl. Resolves to the status and the body of the answer. */
async function curl(...args: string[]): Promise<{ status: number; body: string }> {
  const { stdout } = await promisify(execFile)('curl', ['-sS', '-w', '\n%{http_code}', ...args])
  const at = stdout.lastIndexOf('\n')
  return { status: Number(stdout.slice(at + 1)), body: stdout.slice(0, at) }
}

/** A claimed run, and the arguments of curl for an upload to it. */
async function claimed(h: Harness) {
  const id = await h.submit()
  const claimant = new Claimant(h)
  await claimant.claim()
  const { round, token } = claimant.job
  const to = (http: string, name: string) => [
    '-H',
    `Authorization: Bearer ${workerToken()}`,
    `${http}/api/v2/jobs/${id}/artifacts/${name}?round=${round}&claim_token=${token}`,
  ]
  return { id, claimant, to }
}

function files(h: Harness, pattern: RegExp): string[] {
  const folder = h.config.ARTIFACTS_DIR
  return existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => pattern.test(name)) : []
}

async function start(t: Test, env: Readonly<Record<string, string>> = {}) {
  const h = await startHarness(t, { processor: null, env })
  const settings = { ARTIFACTS_DIR: h.config.ARTIFACTS_DIR, ...env }
  return { h, settings }
}

t.test('[ART-6] [ART-7] curl stores a byte and 100 MB, not more; what breaks off is gone', async (t) => {
  const { h, settings } = await start(t, { MAX_ARTIFACT_BYTES: String(SIZE) })
  const hub = await startHub(t, h, settings)
  const { id, claimant, to } = await claimed(h)
  const folder = t.testdir({})
  const content = randomBytes(SIZE)
  const file = (name: string, data: Buffer) => {
    writeFileSync(join(folder, name), data)
    return join(folder, name)
  }
  const big = file('big', content)
  t.match(await curl('-X', 'PUT', '--data-binary', 'x', ...to(hub.http, 'byte')), { status: 201 })
  const stored = await curl('-T', big, ...to(hub.http, 'big.bin'))
  t.equal(stored.status, 201)
  t.match(JSON.parse(stored.body), { bytes: SIZE, sha256: sha256(content) })
  const over = file('over', Buffer.concat([content, Buffer.from('x')]))
  // The hub answers before it has read a body that names its size.
  for (const how of [[], ['-H', 'Transfer-Encoding: chunked']]) {
    const refused = await curl('-T', over, ...how, ...to(hub.http, 'over')).catch((error: Error) => ({ status: 0, body: error.message }))
    t.match(refused, { status: 413, body: /MAX_ARTIFACT_BYTES/ })
  }
  const cut = spawn('curl', ['-sS', '--limit-rate', '4M', '-T', big, ...to(hub.http, 'cut')], { stdio: 'ignore' })
  await eventually(() => files(h, /\/cut~.*part$/).length === 1, SOON)
  await killProcess(cut)
  await eventually(() => files(h, /\/cut~/).length === 0, SOON)
  t.match(await claimant.post([{ type: 'completed', metrics_summary: {} }]), { status: 200 })

  // The hub dies in the middle of a download, which another one continues.
  const { http } = h.nodes[0] ?? { http: '' }
  const copy = join(folder, 'copy')
  const download = (from: string) => [
    '-sS',
    '-o',
    copy,
    '-H',
    `Authorization: Bearer ${h.token()}`,
    `${from}/api/jobs/${id}/artifacts/big.bin`,
  ]
  const first = spawn('curl', ['--limit-rate', '20M', ...download(hub.http)], { stdio: 'ignore' })
  await eventually(() => existsSync(copy) && statSync(copy).size > 1_000_000, SOON)
  await Promise.all([killProcess(hub.child), once(first, 'exit')])
  const at = statSync(copy).size
  t.ok(at < SIZE, `cut after ${at} bytes`)
  t.equal((await curl('-C', '-', ...download(http))).status, 206)
  t.equal(sha256(readFileSync(copy)), sha256(content))
  t.same(h.faults, [])
})

t.test('[ART-6] 500 MB of uploads at once need little memory', async (t) => {
  const { h, settings } = await start(t)
  const hub = await startHub(t, h, settings)
  const { to } = await claimed(h)
  const part = join(t.testdir({}), 'part')
  writeFileSync(part, randomBytes(50_000_000))
  let most = 0
  const measure = setInterval(() => {
    const pages = Number(readFileSync(`/proc/${hub.child.pid}/statm`, 'utf8').split(' ')[1])
    most = Math.max(most, (pages * 4096) / 1e6)
  }, 20)
  const begun = performance.now()
  const answers = await Promise.all(Array.from({ length: 10 }, (_, i) => curl('-T', part, ...to(hub.http, `part-${i}`))))
  clearInterval(measure)
  t.comment(`${most.toFixed(0)} MB, ${((performance.now() - begun) / 1000).toFixed(1)} s`)
  t.same(new Set(answers.map(({ status }) => status)), new Set([201]))
  t.ok(most > 0 && most < 256, `${most.toFixed(0)} MB`)
})

t.test('[ART-4] [ART-5] a worker that dies in an upload leaves no artifact; the next attempt has it', async (t) => {
  const program = `const fs = require('node:fs'); fs.writeFileSync(process.env.RUNCAST_RUN_DIR + '/big.bin', Buffer.alloc(${SIZE}, 'x'));
    console.log(JSON.stringify({ type: 'artifact', path: 'big.bin' })); console.log(JSON.stringify({ type: 'completed', metrics_summary: {} }))`
  const SOLVERS_FILE = solversFile(t, { name: 'big', command: process.execPath, args: ['-e', program] })
  // A folder of its own: workers of other tests, as they start, remove what is left in that of the machine.
  const TMPDIR = mkdtempSync(join(tmpdir(), 'runcast-test-left-'))
  t.teardown(() => rmSync(TMPDIR, { recursive: true, force: true }))
  const { h, settings } = await start(t, { SOLVERS_FILE })
  const startWorker = () => startWorkerProcess(t, h, { ...settings, TMPDIR })
  const workers = [startWorker(), startWorker()]
  const foldersOf = (pid: number | undefined) => readdirSync(TMPDIR).filter((name) => name.startsWith(`runcast-run-${hostname()}-${pid}-`))
  const { backlog } = h.nodes[0]?.hub.parts ?? {}
  await eventually(async () => (await backlog?.workers('run.big')) === 2, SOON)
  const { body } = await h.call('POST', '/api/v2/runs', { body: { solver: 'big', input: {} } })
  const id: string = body.run_id
  await eventually(() => files(h, /\/big\.bin~.*part$/).length === 1, { ...SOON, everyMs: 1 })
  const worker = workers.find(({ pid }) => foldersOf(pid).length === 1)
  if (!worker) throw new Error('no worker has the run')
  await killProcess(worker)
  t.same((await h.call('GET', `/api/jobs/${id}/artifacts`)).body.artifacts, [])
  await eventually(async () => ['completed', 'failed'].includes((await h.call('GET', `/api/jobs/${id}`)).body.status), SOON)
  t.match((await h.call('GET', `/api/jobs/${id}`)).body, { status: 'completed', attempt: 2 })
  t.equal(foldersOf(worker.pid).length, 1)
  startWorker()
  await eventually(() => foldersOf(worker.pid).length === 0, SOON)
  t.pass('the next worker that starts removes the folder')
  t.match((await h.call('GET', `/api/jobs/${id}/artifacts`)).body.artifacts, [
    { name: 'big.bin', bytes: SIZE, sha256: sha256(Buffer.alloc(SIZE, 'x')) },
  ])
  t.same(h.faults, [])
})
