import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { freePort } from '../../src/embedded/redis-port.js'
import { type Command, startCommand } from '../helpers/command.js'
import { eventually } from '../helpers/eventually.js'
import { HORN, SECRET } from '../helpers/harness.js'
import { MARK, marked } from '../helpers/marked.js'
import { emptyFolder, npm, pack } from '../helpers/packed.js'
import { startProcessesPlainly } from '../helpers/plain-processes.js'
import { readmeCode } from '../helpers/readme.js'

startProcessesPlainly()

/** As a new user begins. */
const folder = emptyFolder(t)
const tarball = await pack(t)
await npm(t, ['init', '-y'], folder)
// Other packages come from the registry, or from npm's cache.
await npm(t, ['install', '--prefer-offline', '--no-audit', '--no-fund', tarball], folder)

/** `npx runcast` in the folder. */
function npx(t: Test, args: readonly string[], env: Readonly<Record<string, string>> = {}, input = ''): Command {
  return startCommand(t, 'npx', ['--no', 'runcast', ...args], { cwd: folder, env, input })
}

t.test('a Redis that is missing is told with what would help', async (t) => {
  const main = join(folder, 'node_modules/runcast/build/src/cli/main.js')
  const nothing = join(folder, 'nothing')
  mkdirSync(nothing)
  const env = { PATH: nothing, RUNCAST_NO_INSTALL: '1', REDIS_URL: '' }
  const { code, stdout, stderr } = await startCommand(t, process.execPath, [main, 'start'], { cwd: folder, env }).ended
  t.match({ code, stdout }, { code: 1, stdout: '' })
  t.match(stderr, /^no Redis 7\.0 or later here: install redis-server or valkey-server, or name one by REDIS_URL\n$/)
})

t.test('npx runcast start runs the stack; programs and commands use it; Ctrl-C ends everything', async (t) => {
  const port = await freePort(2)
  const mark = `package-${port}`
  const env = { PORT: `${port}`, REDIS_URL: '', JWT_SECRET: SECRET, LOG_LEVEL: 'warn', [MARK]: mark }
  const stack = startCommand(t, 'npx', ['--no', 'runcast', 'start'], { cwd: folder, env, detached: true })
  const [, REDIS_URL = ''] = await stack.printed(/^redis\s+(\S+)$/m)
  t.ok(existsSync(join(folder, '.runcast/data')), 'its data lie where it was started')

  await t.test('the program of the README enqueues, watches and cancels', async (t) => {
    writeFileSync(join(folder, 'program.mjs'), readmeCode('jobs.cancel('))
    const { code, stdout, stderr } = await startCommand(t, process.execPath, ['program.mjs'], { cwd: folder, env: { REDIS_URL } }).ended
    t.match({ code, stderr }, { code: 0, stderr: '' }, stderr)
    t.match(stdout, /^status[\s\S]*\ncompleted 100\n[\s\S]*\ncancelled\n$/)
  })

  await t.test('token, submit, watch and cancel', async (t) => {
    const token = await npx(t, ['token', 'alice'], { JWT_SECRET: SECRET }).ended
    t.match(token, { code: 0, stdout: /^[\w-]+\.[\w-]+\.[\w-]+\n$/ })
    const access = { RUNCAST_URL: `http://127.0.0.1:${port}`, RUNCAST_TOKEN: token.stdout.trim() }
    const short = await npx(t, ['submit', 'run', '--input', '-', '--watch'], access, JSON.stringify(HORN)).ended
    t.match(short, { code: 0, stdout: /natural_frequency_hz[\s\S]*Completed in/ })
    const long = { ...HORN, mesh: { elements_x: 32, elements_y: 160 }, sweep: { points: 401 } }
    const submitted = await npx(t, ['submit', 'run', '--input', '-', '--id', 'long'], access, JSON.stringify(long)).ended
    t.match(submitted, { code: 0, stdout: 'long\n' })
    const watch = npx(t, ['watch', 'long'], access)
    await watch.printed(/solving/)
    t.match(await npx(t, ['cancel', 'long'], access).ended, { code: 0, stdout: /^cancell(ing|ed)\n$/ })
    t.match(await watch.ended, { code: 3, stdout: /Cancelled\.\n$/ })
  })

  if (process.platform === 'linux') t.ok(marked(mark).length >= 7, 'two hubs, three workers, Redis and its guard, and the parent')
  // As a terminal does: npx and the command get it alike.
  process.kill(-(stack.child.pid ?? 0), 'SIGINT')
  t.match(await stack.ended, { stdout: /Ctrl-C ends it/ })
  if (process.platform === 'linux') await eventually(() => marked(mark).length === 0)
})
