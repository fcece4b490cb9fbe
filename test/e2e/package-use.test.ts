import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type Command, startCommand } from '../support/command.js'
import { codeOf, linesOf } from '../support/documents.js'
import { eventually } from '../support/eventually.js'
import { HORN, SECRET } from '../support/harness.js'
import { MARK, marked } from '../support/marked.js'
import { emptyFolder, ROOT } from '../support/packed.js'
import { testPort } from '../support/ports.js'

// Packages come from the registry.
t.setTimeout(300_000)

/** Where the lines of the README make the program. */
const temporary = emptyFolder(t)
const folder = join(temporary, 'my-project')
const port = await testPort(2)
const mark = `package-${port}`
const access = { RUNCAST_URL: `http://127.0.0.1:${port}` }

/** Most that the package may take on the disk, with all that it installs, in MB. */
const MAX_INSTALLED_MB = 75

/** The README makes a project; the stack of the package then runs in it. */
const project = linesOf(codeOf('README.md', 'npm pack'))

/**
 * Lines of a shell in a process group of their own, as in a terminal, whose Ctrl-C it gets in the end at the latest.
 */
function terminal(t: Test, lines: readonly string[], cwd: string, env: Readonly<Record<string, string>>): Command & { ctrlC(): void } {
  const command = startCommand(t, 'sh', ['-c', lines.join('\n')], { cwd, env, detached: true })
  let hasEnded = false
  command.ended.finally(() => (hasEnded = true)).catch(() => {})
  const ctrlC = () => {
    if (!hasEnded) process.kill(-(command.child.pid ?? 0), 'SIGINT')
  }
  t.teardown(ctrlC)
  return Object.assign(command, { ctrlC })
}

/** `runcast` as it is installed: what `npx` runs, which the lines of the README do. */
function runcast(t: Test, args: readonly string[], env: Readonly<Record<string, string>> = {}, input = ''): Command {
  return startCommand(t, join(folder, 'node_modules/.bin/runcast'), args, { cwd: folder, env: { ...access, ...env }, input })
}

t.test('the README makes a project; programs and commands use its stack; Ctrl-C ends all', async (t) => {
  const npm = {
    npm_config_ignore_scripts: 'true', // `prepack` would compile while other tests run
    npm_config_prefer_offline: 'true', // other packages come from the registry, or from npm's cache
    ...{ npm_config_audit: 'false', npm_config_fund: 'false' },
  }
  const env = { ...npm, TMPDIR: temporary, PORT: `${port}`, REDIS_URL: '', JWT_SECRET: SECRET, LOG_LEVEL: 'warn', [MARK]: mark }
  const stack = terminal(t, [...project, 'npx --no-install runcast start'], ROOT, env)
  await stack.printed(/^added \d+ packages/m)
  const [, REDIS_URL = ''] = await stack.printed(/^redis\s+(\S+)$/m)
  const [, RUNCAST_TOKEN = ''] = await stack.printed(/^token\s+(\S+)$/m)
  t.ok(existsSync(join(folder, '.runcast/data')), 'its data lie where it was started')

  await t.test('the package and its dependencies are small; the optional peer is not among them', async (t) => {
    const { stdout } = await startCommand(t, 'du', ['-sk', 'node_modules'], { cwd: folder }).ended
    const mb = Number.parseInt(stdout, 10) / 1024
    t.comment(`${mb.toFixed(0)} MB installed`)
    t.ok(mb > 10 && mb <= MAX_INSTALLED_MB, `${mb} MB installed`)
    t.notOk(existsSync(join(folder, 'node_modules/openai')))
  })

  await t.test('[OPS-2] the package serves its documents', async (t) => {
    const page = await fetch(`${access.RUNCAST_URL}/docs`)
    t.match({ status: page.status, text: await page.text() }, { status: 200, text: /^<!doctype html>/ })
    t.match(await (await fetch(`${access.RUNCAST_URL}/docs/openapi.json`)).json(), { openapi: '3.1.0', paths: { '/api/v2/runs': {} } })
    t.match(await (await fetch(`${access.RUNCAST_URL}/docs/openapi.yaml`)).text(), /^openapi: 3\.1\.0$/m)
  })

  await t.test('what needs the optional peer says how to get it', async (t) => {
    const { code, stdout } = await runcast(
      t,
      ['submit', 'benchmark', '--input', '-', '--watch'],
      { RUNCAST_TOKEN },
      '{"models":["local/ngram"]}',
    ).ended
    t.equal(code, 1)
    t.match(stdout, 'The package openai is not installed with this worker')
    t.match(stdout, '"npm install openai"')
  })

  await t.test('[TRACE-2] a hub that should export spans says how to get their package', async (t) => {
    const { code, stderr } = await runcast(t, ['hub'], { REDIS_URL, JWT_SECRET: SECRET, OTEL_TRACES_EXPORTER: 'otlp' }).ended
    t.equal(code, 1)
    t.equal(
      stderr,
      'The package @opentelemetry/sdk-node is not installed (OTEL_TRACES_EXPORTER): run "npm install @opentelemetry/sdk-node"\n',
    )
  })

  await t.test('a missing Redis is one line that says what helps', async (t) => {
    const main = join(folder, 'node_modules/runcast/build/src/cli/main.js')
    const nothing = join(folder, 'nothing')
    mkdirSync(nothing)
    // The stack may run from a private copy.
    const copy = join(folder, 'node_modules/runcast/.runcast')
    if (existsSync(copy)) {
      renameSync(copy, `${copy}-aside`)
      t.teardown(() => renameSync(`${copy}-aside`, copy))
    }
    const env = { PATH: nothing, RUNCAST_NO_INSTALL: '1', REDIS_URL: '' }
    const { code, stdout, stderr } = await startCommand(t, process.execPath, [main, 'start'], { cwd: nothing, env }).ended
    t.match({ code, stdout }, { code: 1, stdout: '' })
    t.match(stderr, /^no Redis 7\.0 or later here: install redis-server or valkey-server, or set REDIS_URL\n$/)
  })

  await t.test('the commands of the README submit a run and watch it', async (t) => {
    t.match(await terminal(t, linesOf(codeOf('README.md', 'submit run')), folder, { ...npm, ...access, RUNCAST_TOKEN }).ended, {
      code: 0,
      stdout: /^[0-9a-f-]{36}\n[\s\S]*natural_frequency_hz[\s\S]*\nCompleted in /,
    })
  })

  await t.test('a benchmark runs with its optional peer, and prints a table', async (t) => {
    const lines = [
      'npm install openai',
      `echo '{"models":["local/ngram"]}' | npx --no-install runcast submit benchmark --id bench-1 --input -`,
      'npx --no-install runcast watch bench-1; echo $?',
    ]
    t.match(await terminal(t, lines, folder, { ...npm, ...access, RUNCAST_TOKEN }).ended, {
      code: 0,
      stdout: /\nbench-1\n[\s\S]*\nlocal\/ngram +0 +3\/3 [\s\S]*\n0\n$/,
    })
  })

  await t.test('the program of the README is a hub, a worker and a client', async (t) => {
    writeFileSync(join(folder, 'countdown.mjs'), codeOf('README.md', 'createHub({'))
    const ended = await terminal(t, linesOf(codeOf('README.md', 'node countdown.mjs')), folder, { REDIS_URL }).ended
    t.match(ended, {
      code: 0,
      stdout: /^The hub listens at http:\S+\nsubscribed\n[\s\S]*\nprocess_completed\n\{ counted: 3 \}\n$/,
      stderr: /^$/,
    })
  })

  await t.test('the example has a hub, a worker with a kind of its own, and clients', async (t) => {
    const example = join(folder, 'node_modules/runcast/examples/one-program/program.js')
    const ended = await startCommand(t, process.execPath, [example], { cwd: folder, env: { REDIS_URL } }).ended
    t.match(ended, {
      code: 0,
      stdout: /^subscribed\n[\s\S]*\{ counted: 5 \}\ncancelling\ntrue cancelled\nqueued\n\[ 'long', 'completed' \]\n$/,
      stderr: /^$/,
    })
  })

  await t.test('token, submit, watch and cancel', async (t) => {
    const token = await runcast(t, ['token', 'alice'], { JWT_SECRET: SECRET }).ended
    t.match(token, { code: 0, stdout: /^[\w-]+\.[\w-]+\.[\w-]+\n$/ })
    const alice = { RUNCAST_TOKEN: token.stdout.trim() }
    const long = { ...HORN, mesh: { elements_x: 32, elements_y: 160 }, sweep: { points: 401 } }
    const submitted = await runcast(t, ['submit', 'run', '--input', '-', '--id', 'long'], alice, JSON.stringify(long)).ended
    t.match(submitted, { code: 0, stdout: 'long\n' })
    const watch = runcast(t, ['watch', 'long'], alice)
    await watch.printed(/solving/)
    t.match(await runcast(t, ['cancel', 'long'], alice).ended, { code: 0, stdout: /^cancell(ing|ed)\n$/ })
    t.match(await watch.ended, { code: 3, stdout: /Cancelled\.\n$/ })
  })

  if (process.platform === 'linux') t.ok(marked(mark).length >= 7, 'two hubs, three workers, Redis and its guard, and the parent')
  // As a terminal does: npx and the command get it alike.
  stack.ctrlC()
  t.match(await stack.ended, { stdout: /Ctrl-C stops it/ })
  if (process.platform === 'linux') await eventually(() => marked(mark).length === 0)
})
