import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { watchJob } from '../../src/client/watch-job.js'
import { eventually } from '../support/eventually.js'
import { HORN } from '../support/harness.js'
import { MARK, marked } from '../support/marked.js'
import { testPort } from '../support/ports.js'
import { TestClient } from '../support/test-client.js'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const RAYLEIGH_LOVE_HZ = 19_962.7

const DEMO = ['build/src/cli/demo.js']
const START = ['build/src/cli/main.js', 'start']

interface Program {
  readonly child: ChildProcess
  output: string
  readonly exit: Promise<[number | null, string | null]>
}

function run(t: Test, args: readonly string[], port: number): Program {
  const dataDir = mkdtempSync(join(tmpdir(), 'runcast-test-stack-'))
  const env = {
    ...process.env,
    PORT: String(port),
    REDIS_URL: '',
    JWT_SECRET: '',
    LOG_LEVEL: 'warn',
    DATA_DIR: dataDir,
    // One port for all processes of a stack could be had by one of them only, so it sets its own.
    METRICS_PORT: String(port),
    [MARK]: `${port}`,
  }
  const child = spawn(process.execPath, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const program: Program = { child, output: '', exit: once(child, 'exit') as Program['exit'] }
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      program.output += chunk
    })
  }
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
    await program.exit
    rmSync(dataDir, { recursive: true, force: true })
  })
  return program
}

/** What the pattern finds in a program's output, once it is there. Rejects with all of the output when the program ends before, or is silent for 60 s. */
async function printed(program: Program, pattern: RegExp): Promise<RegExpExecArray> {
  const hasEnded = () => program.child.exitCode !== null
  await eventually(() => pattern.test(program.output) || hasEnded(), { timeoutMs: 60_000 }).catch(() => {})
  const found = pattern.exec(program.output)
  if (!found) throw new Error(`the program has not printed ${pattern} but: ${program.output || 'nothing'}`)
  return found
}

t.test('the demo: a real run, submitted on one node and watched on the other; exit 0, no process left', async (t) => {
  const port = await testPort(2)
  const program = run(t, DEMO, port)
  t.same(await program.exit, [0, null], program.output)
  t.match(program.output, new RegExp(`submitted to http://127\\.0\\.0\\.1:${port}, watched on http://127\\.0\\.0\\.1:${port + 1}`))
  const frequency = Number(/Completed[\s\S]*natural_frequency_hz\s+([\d.]+)/.exec(program.output)?.[1])
  t.ok(Math.abs(frequency / RAYLEIGH_LOVE_HZ - 1) < 0.005, `${frequency} Hz against ${RAYLEIGH_LOVE_HZ} Hz of Rayleigh and Love`)
  t.match(program.output, /█/)
  if (process.platform === 'linux') t.same(marked(`${port}`), [])
})

t.test('the stack: ready on both nodes, the printed token works, Ctrl-C ends everything', async (t) => {
  const port = await testPort(2)
  const program = run(t, START, port)
  const [, token = ''] = await printed(program, /^token\s+(\S+)$/m)
  const [nodeA, nodeB] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${port + 1}`]
  for (const node of [nodeA, nodeB]) {
    const ready = await fetch(`${node}/readyz`)
    t.same(
      [ready.status, await ready.json()],
      [200, { status: 'ready', checks: { redis: true, worker: true, serving: true }, writable: true }],
    )
  }
  const response = await fetch(`${nodeA}/api/v2/runs`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ input: HORN }),
  })
  const { run_id: id } = (await response.json()) as { run_id: string }
  const watch = watchJob({ url: `${nodeB.replace('http', 'ws')}/api/v2/ws/runs/${id}`, token: () => token, WebSocket })
  t.teardown(() => watch.close())
  t.equal((await watch.finished()).status, 'completed')

  const socket = new TestClient(`${nodeB.replace('http', 'ws')}/ws?token=${token}`)
  t.teardown(() => socket.terminate())
  await socket.next('process_list')
  const benchmark = await fetch(`${nodeA}/api/benchmark`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ models: ['local/ngram'] }),
  })
  const { process_id } = (await benchmark.json()) as { process_id: string }
  t.match(await socket.next('process_completed'), { process_id, result: { total: 9, ok: 9 } }, 'a benchmark needs no configuration')
  program.child.kill('SIGINT')
  t.same(await program.exit, [0, null], program.output)
  if (process.platform === 'linux') t.same(marked(`${port}`), [])
})

t.test('the stack killed with SIGKILL leaves no process behind', { skip: process.platform !== 'linux' && 'reads /proc' }, async (t) => {
  const port = await testPort(2)
  const program = run(t, START, port)
  await printed(program, /Ctrl-C/)
  t.ok(marked(`${port}`).length >= 6, 'two hubs, two workers, Redis and its guard, and the parent')
  program.child.kill('SIGKILL')
  await program.exit
  await eventually(() => marked(`${port}`).length === 0)
})

t.test('a port that is taken: one clear line, exit 1, no process left', async (t) => {
  const port = await testPort(2)
  const taken = createServer().listen(port, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => taken.close())
  const program = run(t, START, port)
  t.same(await program.exit, [1, null])
  t.match(program.output, `127.0.0.1:${port}`)
  t.notMatch(program.output, /\n\s+at /, 'no stack trace')
  if (process.platform === 'linux') t.same(marked(`${port}`), [])
})
