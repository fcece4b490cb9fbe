import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { eventually } from '../support/eventually.js'
import { SECRET } from '../support/harness.js'
import { MODULES } from '../support/own-stack.js'
import { testPort } from '../support/ports.js'

const MAINS = { hub: ['src/main.js'], worker: ['workers/main.js'], 'npm start': ['src/cli/main.js', 'start'] }

/** Runs one of the mains; no Redis is there, so one that gets past its settings fails of that. */
function run(t: Test, main: keyof typeof MAINS, env: Readonly<Record<string, string>>) {
  let output = ''
  const [module, ...args] = MAINS[main]
  const path = fileURLToPath(new URL(`../../${module}`, import.meta.url))
  const cwd = fileURLToPath(new URL('../../..', import.meta.url)) // where `npm start` runs
  const child = spawn(process.execPath, [path, ...args], { cwd, env: { ...process.env, LOG_LEVEL: 'silent', ...env } })
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (output += data.toString()))
  const ended = once(child, 'close').then(([code]) => code as number | null)
  t.teardown(async () => {
    child.kill('SIGTERM')
    await ended
  })
  return { child, ended, output: () => output }
}

t.test('[KIND-7] a module that cannot be imported, or defines nothing, is one line that names the file', async (t) => {
  const folder = t.testdir({})
  const file = (name: string, code: string) => {
    writeFileSync(join(folder, name), code)
    return join(folder, name)
  }
  const missing = join(folder, 'missing.mjs')
  const broken = file('broken.mjs', 'export const kind =\n')
  const wrong = file('wrong.mjs', `import { defineKind } from 'runcast'\ndefineKind({ name: 'No', dialect: 'process', input: {} })\n`)
  const idle = file('idle.mjs', 'export const nothing = 1\n')
  const cases: [modules: string, line: string | RegExp][] = [
    [missing, /^KINDS_MODULES: .*missing\.mjs cannot be imported: Cannot find module [^\n]*\n$/],
    [broken, /^KINDS_MODULES: .*broken\.mjs cannot be imported: Unexpected [^\n]*\n$/],
    [wrong, /^KINDS_MODULES: .*wrong\.mjs cannot be imported: defineKind: name: expected [^\n]*\n$/],
    [`${MODULES.example},${idle}`, `KINDS_MODULES: ${idle} defines no kind of job.\n`],
    [',', 'The settings are not valid:\n  KINDS_MODULES: expected paths, separated by commas\n'],
  ]
  const env = { REDIS_URL: 'redis://127.0.0.1:1', JWT_SECRET: SECRET }
  for (const main of ['hub', 'worker', 'npm start'] as const) {
    for (const [modules, line] of main === 'hub' ? cases : cases.slice(0, 1)) {
      const program = run(t, main, { ...env, KINDS_MODULES: modules })
      t.equal(await program.ended, 1, main)
      t.match(program.output(), line, main)
    }
  }
})

t.test('[KIND-7] a module is imported once, however often it is named, and another may import it too', async (t) => {
  const other = join(t.testdir({}), 'other.mjs')
  writeFileSync(other, `export { tour } from ${JSON.stringify(MODULES.example)}\n`)
  const KINDS_MODULES = [MODULES.example, MODULES.example, other].join()
  const program = run(t, 'hub', { REDIS_URL: 'redis://127.0.0.1:1', JWT_SECRET: SECRET, KINDS_MODULES, WORKER_KINDS: 'tour' })
  t.equal(await program.ended, 1)
  t.match(program.output(), /^Redis at 127\.0\.0\.1:1 cannot be reached/, 'its settings were valid')
})

t.test('[KIND-7] npm start runs the example as its page says', async (t) => {
  const port = await testPort()
  const settings = { KINDS_MODULES: 'examples/own-kind/kinds.js', WORKER_KINDS: 'tour', REDIS_URL: '', PORT: `${port}` }
  const program = run(t, 'npm start', { ...settings, DATA_DIR: t.testdir({}) })
  await eventually(() => program.output().includes('Ctrl-C'), { timeoutMs: 40_000 })
  const token = /^token +(\S+)$/m.exec(program.output())?.[1]
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json', accept: 'text/event-stream' }
  const body = JSON.stringify({ input: { count: 30, seed: 7 } })
  const stream = await fetch(`http://127.0.0.1:${port}/api/v2/tours`, { method: 'POST', headers, body })
  t.equal(stream.status, 200)
  const messages = (await stream.text())
    .split('\n')
    .flatMap((line) => (line.startsWith('data: {"type"') ? [JSON.parse(line.slice(6))] : []))
  t.match(
    messages.findLast(({ type }) => type !== 'close'),
    { type: 'completed', metrics_summary: { cities: 30, length: Number } },
  )
  program.child.kill('SIGTERM')
  t.equal(await program.ended, 0)
})
