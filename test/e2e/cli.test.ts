import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { COMMANDS } from '../../src/cli/commands.js'
import { completionOf } from '../../src/cli/completion.js'
import { helpOf } from '../../src/cli/help.js'
import { JobFailure } from '../../src/worker/processor.js'
import { type CommandOptions, RUNCAST, runcast, runcastInProcess, startCommand } from '../support/command.js'
import { eventually } from '../support/eventually.js'
import { HORN, SECRET, startHarness } from '../support/harness.js'
import type { RunProcessor } from '../support/kinds.js'
import { ROOT } from '../support/packed.js'
import { PlayedBenchmark } from '../support/played-benchmark.js'
import { testPort } from '../support/ports.js'
import { solversFile } from '../support/solvers.js'

/** A hub that does not answer. */
const silent = createServer()

/** What a run does is said by its width. */
const WIDTHS = { completes: 25, fails: 26, waits: 27 }
const processor: RunProcessor = async ({ width_mm }, job) => {
  job.progress({ percent: 50, phase: 'solving', message: 'Half\u0085of it' }) // a control character, which none of these outputs has
  job.metric('natural_frequency_hz', 19_960.5, 'Hz')
  job.log('\u001b[2J\u001b]0;owned\u0007<b>meshed</b>\u009b1m \u202e.')
  if (width_mm === WIDTHS.fails) throw new JobFailure('solver_error', 'It does not converge.')
  if (width_mm === WIDTHS.waits) await new Promise((resolve) => job.signal.addEventListener('abort', resolve, { once: true }))
  job.signal.throwIfAborted()
  await job.artifact('modes.csv', { data: 'mode,Hz\n1,19960.5\n' })
  await job.artifact('board', { url: 'https://example.com/' })
  return { metrics_summary: { natural_frequency_hz: 19_960.5 } }
}
const h = await startHarness(t, { processor, env: { SOLVERS_FILE: solversFile(t, { name: 'waits' }) } })
const [node] = h.nodes
const access = { RUNCAST_URL: node?.http, RUNCAST_TOKEN: h.token('alice') }

/** `runcast` as the user alice. */
function cli(t: Test, args: readonly string[], options: CommandOptions = {}) {
  return runcast(t, args, { ...options, env: { ...access, ...options.env } })
}

/** `runcast` as the user alice, in this process. */
function inProcess(t: Test, args: readonly string[], env: CommandOptions['env'] = {}) {
  return runcastInProcess(t, args, { ...access, ...env })
}

function inputOf(what: keyof typeof WIDTHS): string {
  return JSON.stringify({ ...HORN, width_mm: WIDTHS[what] })
}

t.test('submit prints the id, and the same again enqueues nothing', async (t) => {
  const file = join(t.testdir({ 'horn.json': inputOf('completes') }), 'horn.json')
  for (const source of [['--input', file], [`--input=${file}`]]) {
    t.same(await cli(t, ['submit', 'run', '--id', 'first', ...source]), { code: 0, stdout: 'first\n', stderr: '' })
  }
  const drawn = await cli(t, ['submit', 'run', '--input', '-', '--json'], { input: inputOf('completes') })
  t.match(JSON.parse(drawn.stdout), { run_id: /^[0-9a-f-]{36}$/, status: 'queued' })
})

t.test('artifacts lists the files of a job, and downloads one', async (t) => {
  await cli(t, ['submit', 'run', '--id', 'files', '--input', '-', '--watch'], { input: inputOf('completes') })
  const folder = t.testdir({})
  const list = await inProcess(t, ['artifacts', 'files'])
  t.same(list, {
    code: 0,
    stdout: 'name       bytes  type\nboard      link   https://example.com/\nmodes.csv  18     text/csv\n',
    stderr: '',
  })
  const content = 'mode,Hz\n1,19960.5\n'
  t.same(await cli(t, ['artifacts', 'files', 'modes.csv', '-o', '-']), { code: 0, stdout: content, stderr: '' })
  const output = join(folder, 'x.csv')
  t.same(await cli(t, ['artifacts', 'files', 'modes.csv', '--output', output]), { code: 0, stdout: '', stderr: '' })
  t.equal(readFileSync(output, 'utf8'), content)
  t.match(await inProcess(t, ['artifacts', 'files', 'none', '-o', join(folder, 'none')]), { code: 4, stderr: /^runcast: not_found/ })
  t.match(await inProcess(t, ['artifacts', 'files', '../x']), { code: 2, stderr: /^runcast artifacts: name: expected/ })
  t.same(readdirSync(folder), ['x.csv'])
})

t.test('[SERIES-6] series lists the metrics of a job, and prints the curve of one', async (t) => {
  t.same(await inProcess(t, ['series', 'files']), {
    code: 0,
    stdout: 'metric                unit  x        points  points per bucket\nnatural_frequency_hz  Hz    seconds  1       1\n',
    stderr: '',
  })
  const curve = ['series', 'files', '--metric', 'natural_frequency_hz']
  t.match(await inProcess(t, curve), { code: 0, stdout: /^seconds +natural_frequency_hz \(Hz\)\n[\d.]+ +19960\.5\n$/, stderr: '' })
  t.match(await inProcess(t, [...curve, '--csv']), {
    code: 0,
    stdout: /^x_first,.*,count\n([\d.]+),\1,19960\.5,19960\.5,19960\.5,19960\.5,1\n$/,
  })
  t.match(JSON.parse((await inProcess(t, [...curve, '--json'])).stdout), { id: 'files', metric_name: 'natural_frequency_hz', n: 1, k: 1 })
  t.match(await inProcess(t, ['series', 'files', '--metric', 'none']), {
    code: 4,
    stderr: /^runcast: not_found: The job has no metric "none"/,
  })
})

t.test('[LOG-5] logs prints the lines of a job, and follows it to its end', async (t) => {
  await cli(t, ['submit', 'run', '--id', 'logged', '--input', '-'], { input: inputOf('waits') })
  const text = '<b>meshed</b> \\u{202e}.\n'
  const following = startCommand(t, process.execPath, [RUNCAST, 'logs', 'logged', '-f'], { env: access })
  await following.printed(/meshed/)
  const cancelled = await inProcess(t, ['cancel', 'logged', '--json'])
  t.match(cancelled, { code: 0, stdout: /^\{"id":"logged","status":"cancell(ing|ed)"\}\n$/, stderr: '' })
  t.match(await following.ended, { code: 0, stdout: text, stderr: '' })
  t.same(await inProcess(t, ['logs', 'logged']), { code: 0, stdout: text, stderr: '' })
  const json = await cli(t, ['logs', 'logged', '--json'])
  t.match(JSON.parse(json.stdout), { n: 1, text: /meshed/, timestamp: /Z$/ })
  t.notMatch(json.stdout, /[\p{Cc}](?<!\n)/u)
  t.match(await inProcess(t, ['logs', 'nobody']), { code: 4, stderr: /^runcast: not_found/ })
})

t.test('[LIST-1] list finds jobs, get shows one, and an unsuitable action is an error as JSON', async (t) => {
  const user = h.token('lister')
  const as = (...args: string[]) => inProcess(t, args, { RUNCAST_TOKEN: user })
  const fields = Object.entries(HORN).map(([name, value]) => `--field=${name}=${value}`)
  const submit = ['submit', 'run', ...fields, '--tag', 'shown', '--title', 'Größer']
  const result = await as(...submit, '--id', 'listed', '--wait', '--json')
  t.same(result, { code: 0, stdout: '{"metrics_summary":{"natural_frequency_hz":19960.5}}\n', stderr: '' })
  const failed = await as(...submit, '--id', 'broken', '--field', 'width_mm=26', '--wait', '--json')
  t.match(failed, { code: 1, stdout: '' })
  t.same(JSON.parse(failed.stderr), { code: 'solver_error', message: 'It does not converge.', request_id: null })
  const table = await as('list', '--tag', 'shown', '--since', '2026-11-30')
  t.match(
    table.stdout,
    /^job +kind +status +progress +age +title\nbroken +run +failed +50 % +\ds +Größer\nlisted +run +completed +100 % +\d+s +Größer\n$/,
  )
  const [line, ...rest] = (await as('list', '--json', '--limit', '1', '--title', 'grö')).stdout.split('\n')
  t.match(JSON.parse(line ?? ''), { id: 'broken', status: 'failed', title: 'Größer' })
  t.same(rest, [''])
  t.equal((await as('list', '--limit', '1')).stderr, 'There are more jobs: see --limit and --all.\n')
  t.match((await as('list', '--all', '--status', 'completed')).stdout, /^job[^\n]+\nlisted[^\n]+\n$/)

  t.match(await as('get', 'broken'), {
    code: 0,
    stdout: /^job +broken\n[\s\S]*title +Größer\n[\s\S]*\nFailed: It does not converge\./,
    stderr: '',
  })
  t.match(JSON.parse((await as('get', 'listed', '--json')).stdout), { id: 'listed', final: { type: 'completed' } })
  t.match(JSON.parse((await as('get', 'listed', '--input')).stdout), HORN)
  t.match(await as('retry', 'broken', '--watch'), { code: 1, stdout: /^queued\n[\s\S]*Failed: It does not converge\./ })
  for (const [args, code] of [
    [['retry', 'listed'], 'not_final'],
    [['pause', 'listed'], 'not_running'],
    [['resume', 'listed'], 'not_running'],
    [['cancel', 'listed'], 'already_final'],
  ] as const) {
    const { stderr, ...rest } = await as(...args, '--json')
    t.same(rest, { code: 4, stdout: '' })
    t.match(JSON.parse(stderr), { code, message: /\.$/, request_id: /^[\w-]+$/ }, args.join(' '))
  }
})

t.test('submit that is interrupted before the answer says that the job may exist', async (t) => {
  const asked = new Promise<void>((resolve) => {
    silent.once('request', () => resolve())
  })
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  t.teardown(() => silent.close())
  const { port } = silent.address() as { port: number } // of a server that listens on a port
  const submit = startCommand(t, process.execPath, [RUNCAST, 'submit', 'run', '--url', `http://127.0.0.1:${port}`], { env: access })
  await asked
  submit.child.kill('SIGINT')
  const stderr = 'Interrupted before the hub has answered: the job may have been submitted; "runcast list" shows it if so.\n'
  t.same(await submit.ended, { code: 130, stdout: '', stderr })
  silent.closeAllConnections()
})

t.test('bash completes commands, options and values', async (t) => {
  const complete = (...words: string[]) => {
    const script = `${completionOf('bash', COMMANDS)}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _runcast; echo "\${COMPREPLY[@]}"`
    const { stdout, stderr } = spawnSync('bash', ['-c', script, 'bash', 'runcast', ...words], { encoding: 'utf8' })
    t.equal(stderr, '')
    return stdout.trim()
  }
  const cases: [words: string[], completed: string][] = [
    [['subm'], 'submit'],
    [['--v'], '--version'],
    [['help', 'res'], 'resume'],
    [['list', '--st'], '--status'],
    [['list', '--status', 'f'], 'final failed'],
    [['list', '--status', '=', 'f'], 'final failed'],
    [['list', '--tag', ''], ''],
    [['admin', 'se'], 'sessions'],
    [['token', 'me', '--role', ''], 'admin worker'],
    [['artifacts', 'x', '-o', ''], ''],
  ]
  for (const [words, completed] of cases) t.equal(complete(...words), completed, words.join(' '))
  const { stdout } = await inProcess(t, ['completion', 'bash'])
  t.equal(stdout, completionOf('bash', COMMANDS))
  for (const shell of ['zsh', 'fish'] as const)
    for (const [name, { options }] of Object.entries(COMMANDS))
      for (const word of [name, ...Object.keys(options)]) t.match(completionOf(shell, COMMANDS), word, `${shell}: ${word}`)
})

t.test('[WORDS-1] submit says the time limit, the solver and words, of every kind', async (t) => {
  const search = JSON.stringify({
    base: HORN,
    variables: [{ name: 'width_mm', min: 20, max: 30 }],
    objectives: [{ metric: 'natural_frequency_hz', direction: 'minimize' }],
  })
  const cases: [kind: string, id: string, input: string, options?: string[], solver?: string][] = [
    ['run', 'timed', '{}', ['--solver', 'waits'], 'waits'],
    ['optimization', 'search', search],
    ['benchmark', 'bench', '{"models":["local/ngram"]}'],
  ]
  for (const [kind, id, input, options = [], solver = null] of cases) {
    const words = ['--title', 'Größer', '--tag', 'a', '--tag', 'b', '--metadata', '{"ticket":1}']
    const args = ['submit', kind, '--input', '-', '--timeout', '77', '--id', id, ...words, ...options]
    t.same(await cli(t, args, { input }), { code: 0, stdout: `${id}\n`, stderr: '' })
    const kept = await node?.hub.parts.broker.read(id)
    t.match(kept?.state, {
      kind: { name: kind },
      owner: 'alice',
      timeoutMs: 77_000,
      solver,
      words: { title: 'Größer', tags: ['a', 'b'], metadata: { ticket: 1 } },
    })
  }
  const unknown = await inProcess(t, ['submit', 'run', '--solver', 'nothing'])
  t.match(unknown, { code: 4, stderr: /^runcast: invalid: .*\/solver: expected / })
})

t.test('watch tells each message in a line, and by its exit code how the job ended', async (t) => {
  const completed = await cli(t, ['submit', 'run', '--input', '-', '--id', 'good', '--watch'], { input: inputOf('completes') })
  t.match(completed, { code: 0, stderr: '' })
  t.match(completed.stdout, /^good\n[\s\S]*natural_frequency_hz +19960\.5 Hz\n[\s\S]*Completed in \S+ s of computing\.\n/)
  t.notMatch(completed.stdout, '\u001b', 'nothing for a terminal')
  t.match(await inProcess(t, ['watch', 'good']), { code: 0, stdout: /Completed/ }, 'also what has ended')

  const failed = await cli(t, ['submit', 'run', '--input', '-', '--watch'], { input: inputOf('fails') })
  t.match(failed, { code: 1, stdout: /\nFailed: It does not converge\./ })
})

t.test('cancel ends a job; who watches it hears of it', async (t) => {
  await h.submit({ id: 'long', input: JSON.parse(inputOf('waits')) })
  const watch = startCommand(t, process.execPath, [RUNCAST, 'watch', 'long'], { env: access })
  await watch.printed(/50\.0 % {2}solving +Half of it\n/)
  t.match(await cli(t, ['cancel', 'long']), { code: 0, stdout: /^cancell(ing|ed)\n$/, stderr: '' })
  t.match(await watch.ended, { code: 3, stdout: /\nCancelled\.\n$/ })
  const again = await inProcess(t, ['cancel', 'long'])
  t.same(again, { code: 4, stdout: '', stderr: 'runcast: already_final: The job has already ended.\n' })
})

t.test('watch --json writes each message as it came', async (t) => {
  const { code, stdout } = await cli(t, ['submit', 'run', '--input', '-', '--id', 'json', '--watch', '--json'], {
    input: inputOf('completes'),
  })
  t.equal(code, 0)
  t.match(stdout, '"message":"Half\\u0085of it"')
  const [accepted, snapshot, ...rest] = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  t.match(accepted, { run_id: 'json', links: { self: '/api/v2/runs/json' } })
  t.match(snapshot, { type: 'status', epoch: String })
  t.match(rest.at(-1), { type: 'completed', metrics_summary: { natural_frequency_hz: 19_960.5 } })
})

t.test('watch tells a job in the process dialect from its beginning, and what has ended by its result', async (t) => {
  for (const how of [[], ['--json']]) {
    const job = await PlayedBenchmark.submit(node?.hub)
    await job.start()
    await job.step()
    const watch = startCommand(t, process.execPath, [RUNCAST, 'watch', job.id, ...how], { env: access })
    await watch.printed(/"run":1\b/)
    await job.step()
    await job.complete()
    const { code, stdout } = await watch.ended
    t.equal(code, 0)
    t.match(stdout, how.length > 0 ? /"type":"process_completed"[^\n]*\n$/ : /"run":2[^\n]*\n[\s\S]*Completed in/)
    const late = await inProcess(t, ['watch', job.id, ...how])
    t.match(late, { code: 0, stdout: how.length > 0 ? /^\{"type":"process_completed"/ : /Completed in/ })
  }
})

t.test('Ctrl-C, SIGTERM and a reader that goes end the watch and not the job, and say how to come back', async (t) => {
  await h.submit({ id: 'left', input: JSON.parse(inputOf('waits')) })
  const hint = 'The job continues; "runcast watch left" shows it again, "runcast cancel left" ends it.\n'
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    const watch = startCommand(t, process.execPath, [RUNCAST, 'watch', 'left'], { env: access })
    await watch.printed(/Half of it/)
    watch.child.kill(signal)
    t.match(await watch.ended, { code, stderr: hint })
  }
  const piped = startCommand(t, process.execPath, [RUNCAST, 'watch', 'left'], { env: access })
  piped.child.stdout?.destroy()
  t.match(await piped.ended, { code: 130, stderr: '' })
  t.match(await h.call('GET', '/api/v2/runs/left'), { body: { status: 'running' } })
  await h.call('POST', '/api/v2/runs/left/cancel')
})

t.test('what the hub refuses, or that there is none, is one line and exit code 4', async (t) => {
  const cases: [args: string[], line: RegExp, env?: Record<string, string>][] = [
    [['watch', 'nothing'], /^runcast: not_found: There is no such job\.\n$/],
    [['cancel', 'nothing'], /^runcast: not_found: There is no such job\.\n$/],
    [['watch', 'good'], /^runcast: unauthenticated: A valid token is required\.\n$/, { RUNCAST_TOKEN: 'none' }],
    [['watch', 'good', '--token', h.token('bob')], /^runcast: not_found/],
    [['watch', 'good'], /^runcast: http:\/\/127\.0\.0\.1:2 cannot be reached: ECONNREFUSED\n$/, { RUNCAST_URL: 'http://127.0.0.1:2' }],
    [['submit', 'run'], /^runcast: invalid: The request is not valid\. \/input\/\S+: expected [^\n]+\n$/],
    [['submit', 'nothing'], /^runcast: unknown kind "nothing": expected one of run, optimization, benchmark\n$/],
  ]
  for (const [args, line, env] of cases) t.match(await inProcess(t, args, env), { code: 4, stderr: line }, args.join(' '))
})

t.test('a wrong command line is one line and exit code 2', async (t) => {
  const broken = join(t.testdir({ 'broken.json': '[1]' }), 'broken.json')
  const cases: [args: string[], line: RegExp, env?: Record<string, string>][] = [
    [[], /^runcast: expected a command; see "runcast help"\n$/],
    [['go'], /^runcast: unknown command "go"; see "runcast help"\n$/],
    [['submti'], /^runcast: unknown command "submti" \(did you mean "submit"\?\); see "runcast help"\n$/],
    [['watch', 'a', '--jsno'], /^runcast watch: unknown option '--jsno' \(did you mean '--json'\?\); see/],
    [['watch', '--json'], /^\{"code":"usage","message":"runcast watch: expected <id>;.*","request_id":null\}\n$/],
    [['list', '--all', '--limit', '1'], /^runcast list: expected --limit or --all, not both;/],
    [['list', '--since', 'yesterday'], /^runcast list: --since: expected a time, as 2026-11-30 or/],
    [['list', '--status', 'dead'], /^runcast list: --status: expected one of active, final, queued,/],
    [['submit', 'run', '--field', 'a'], /^runcast submit: --field: expected <name>=<value>;/],
    [['submit', 'run', '--watch', '--wait'], /^runcast submit: expected --watch or --wait, not both;/],
    [['admin', 'job'], /^runcast admin: <view>: expected one of jobs, /],
    [['completion', 'csh'], /^runcast completion: <shell>: expected one of bash, zsh, fish;/],
    [['help', 'go'], /^runcast: unknown command "go"/],
    [['toString'], /^runcast: unknown command "toString"/],
    [['--go'], /^runcast: unknown command "--go"/],
    [['watch'], /^runcast watch: expected <id>; see "runcast help watch"\n$/],
    [['watch', 'a', 'b'], /^runcast watch: unexpected "b"/],
    [['watch', 'a', '--fast'], /^runcast watch: unknown option '--fast'; see/],
    [['watch', 'a', '--url'], /^runcast watch: option '--url <value>' argument missing; see/],
    [['watch', 'a', '--json=yes'], /^runcast watch: option '--json' does not take an argument; see/],
    [['watch', 'a'], /^runcast watch: --token \(RUNCAST_TOKEN\): expected a token/, { RUNCAST_TOKEN: '' }],
    [['watch', 'a'], /^runcast watch: --token \(RUNCAST_TOKEN\): expected a token, as "runcast start" prints one/, { RUNCAST_TOKEN: '…' }],
    [['watch', 'a', '--token', 'a\nb'], /^runcast watch: --token \(RUNCAST_TOKEN\): expected a token/],
    [['watch', 'a', '--url', 'hub:1'], /^runcast watch: --url \(RUNCAST_URL\): expected an http:\/\/ or https:\/\/ URL/],
    [
      ['watch', 'a', '--url', 'http://hub?a=b'],
      /^runcast watch: --url \(RUNCAST_URL\): expected an http:\/\/ or https:\/\/ URL without user/,
    ],
    [
      ['watch', 'a', '--url', 'http://me:pw@hub'],
      /^runcast watch: --url \(RUNCAST_URL\): expected an http:\/\/ or https:\/\/ URL without user/,
    ],
    [['submit', 'run', '--input', broken], /^runcast submit: --input: expected the JSON of an object in \S+broken\.json/],
    [['submit', 'run', '--input', `${broken}.not`], /^runcast submit: --input: \S+ cannot be read: ENOENT\n$/],
    [['submit', 'run', '--timeout', '0'], /^runcast submit: --timeout: expected an integer from 1/],
    [['token', 'a', '--seconds', '1e3'], /^runcast token: --seconds: expected an integer from 1/],
    [['token', 'a', '--role', 'root'], /^runcast token: --role: expected one of admin, worker/],
    [['hub', 'x'], /^runcast hub: unexpected "x"/],
    [['worker', '--port', '1'], /^runcast worker: unknown option '--port'/],
    [['start', '--x'], /^runcast start: unknown option '--x'/],
  ]
  for (const [args, line, env] of cases) {
    const { code, stderr } = await inProcess(t, args, env)
    t.match({ code, stderr }, { code: 2, stderr: line }, args.join(' '))
    t.equal(stderr.split('\n').length, 2, 'one line')
  }
})

t.test('start without a Redis, where none may be downloaded, names the way out', async (t) => {
  const env = { REDIS_URL: '', PATH: t.testdir({}), RUNCAST_NO_INSTALL: '1', HOME: t.testdirName }
  const app = join(t.testdirName, 'app')
  mkdirSync(app)
  cpSync(join(ROOT, 'package.json'), join(app, 'package.json'))
  symlinkSync(join(ROOT, 'node_modules'), join(app, 'node_modules'))
  for (const folder of ['src', 'workers']) cpSync(join(ROOT, 'build', folder), join(app, 'build', folder), { recursive: true })
  const start = [join(app, 'build/src/cli/main.js'), 'start']
  const { code, stdout, stderr } = await startCommand(t, process.execPath, start, { cwd: app, env }).ended
  t.match({ code, stdout, stderr }, { code: 1, stdout: '', stderr: /^[^\n]*no Redis 7\.0 or later here[^\n]*or set REDIS_URL\n$/ })
})

t.test('help tells of every command and option, and the version is that of the package', async (t) => {
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'))
  t.same(await cli(t, ['--version']), { code: 0, stdout: `${version}\n`, stderr: '' })
  const { stdout: all } = await inProcess(t, ['--help'])
  t.same(await inProcess(t, ['help', 'watch']), await inProcess(t, ['watch', '--help']))
  for (const [name, command] of Object.entries(COMMANDS)) {
    t.ok(
      all.split('\n').some((line) => line.startsWith(`  ${name}`) && line.endsWith(command.about)),
      name,
    )
    for (const option of Object.keys(command.options)) t.match(helpOf(name, command), ` --${option}`, `${name} --${option}`)
  }
})

t.test('token prints a token and nothing else, for the secret and the claims that the hubs have', async (t) => {
  const secret = join(t.testdir({}), 'secret')
  writeFileSync(secret, `${SECRET}\n`)
  const env = { JWT_SECRET: '', JWT_SECRET_FILE: secret, JWT_ISSUER: 'https://login.example', JWT_AUDIENCE: 'runcast', PORT: 'any' }
  const { code, stdout, stderr } = await runcast(t, ['token', 'carol', '--role', 'admin', '--seconds', '60'], { env })
  t.match({ code, stderr }, { code: 0, stderr: '' }, 'other settings are not looked at')
  const claims = JSON.parse(Buffer.from(stdout.split('.')[1] ?? '', 'base64url').toString())
  t.match(claims, { sub: 'carol', role: 'admin', iss: 'https://login.example', aud: 'runcast', jti: String })
  t.equal(claims.exp - claims.iat, 60)
  t.match(await h.call('GET', '/api/processes/good', { token: stdout.trim() }), { status: 200 }, 'an admin sees what is of others')
  const none = await runcast(t, ['token', 'carol'], { env: { JWT_SECRET: '', JWT_SECRET_FILE: '' } })
  t.same(none, { code: 1, stdout: '', stderr: 'The settings are not valid:\n  JWT_SECRET: expected to be set\n' })
})

t.test('hub and worker run in the very process, with secrets from files, and a signal ends them in order', async (t) => {
  const folder = t.testdir({ secret: SECRET, url: h.redis.url })
  const env = {
    ...{ JWT_SECRET: '', JWT_SECRET_FILE: join(folder, 'secret'), REDIS_URL: '', REDIS_URL_FILE: join(folder, 'url') },
    ...{ REDIS_PREFIX: 'cli', PORT: '0', DRAIN_MS: '0', WORKER_FINISH_MS: '0', WORKER_KINDS: 'run', LOG_LEVEL: 'info' },
  }
  const invalid = await runcast(t, ['hub'], { env })
  t.match(invalid, { code: 1, stderr: 'The settings are not valid:\n  PORT: expected an integer from 1 to 65535\n' })
  const port = await testPort()
  const hub = startCommand(t, process.execPath, [RUNCAST, 'hub'], { env: { ...env, PORT: `${port}` } })
  const worker = startCommand(t, process.execPath, [RUNCAST, 'worker'], { env: { ...env, PORT: `${port}` } })
  await Promise.all([hub.printed(/Server listening/), worker.printed(/worker takes jobs/)])
  const url = `http://127.0.0.1:${port}`
  const run = await cli(t, ['submit', 'run', '--input', '-', '--watch', '--url', url], { input: JSON.stringify(HORN) })
  t.match(run, { code: 0, stdout: /Completed/ })
  for (const { child, ended } of [worker, hub]) {
    child.kill('SIGTERM')
    t.match(await ended, { code: 0 })
  }
  await eventually(() =>
    fetch(url).then(
      () => false,
      () => true,
    ),
  )
})
