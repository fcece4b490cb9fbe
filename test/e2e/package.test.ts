import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { pathToFileURL } from 'node:url'
import { publint } from 'publint'
import t from 'tap'
import ts from 'typescript'
import { signToken } from '../../src/cli/token.js'
import { startCommand } from '../support/command.js'
import { HORN, SECRET } from '../support/harness.js'
import { emptyFolder, pack, ROOT, typeFaults } from '../support/packed.js'
import { sharedTestRedis } from '../support/redis.js'

// It asks the compiler and attw.
t.setTimeout(300_000)

const MAX_PACKED_BYTES = 900_000
const tarball = await pack(t)
/** Installed by hand in a folder of the clone, where the other packages are. */
const folder = t.testdir({ 'package.json': '{}', node_modules: { runcast: {} } })
const root = join(folder, 'node_modules/runcast')
await startCommand(t, 'tar', ['-xzf', tarball, '-C', root, '--strip-components=1']).ended
const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) => statSync(join(root, file)).isFile())
const manifest = JSON.parse(read('package.json'))

function read(file: string): string {
  return readFileSync(join(root, file), 'utf8')
}

/** What a module imports by a path, as paths inside the package. */
function importsOf(file: string): string[] {
  const imported = ts.preProcessFile(read(file)).importedFiles.map(({ fileName }) => fileName)
  return imported.filter((name) => name.startsWith('.')).map((name) => posix.join(dirname(file), name))
}

t.test('the package is what runs, its types and its documents: no tests, no sources, no maps', async (t) => {
  const kinds = [
    /^(package\.json|README\.md|CHANGELOG\.md|LICENSE)$/,
    /^schemas\/messages\.json$/,
    /^deploy\/(grafana|haproxy|prometheus)\/[\w.-]+$/,
    /^docs\/[a-z]+(\/[a-z-]+)*\.md$/,
    /^examples\/[a-z-]+\/[\w-]+\.(md|js|html|py|sh|json)$|^examples\/[a-z-]+\/README\.md$/,
    /^build\/(src|workers)\/.*(?<!\.test)(\.js|\.d\.ts|\.lua|\.txt)$/,
  ]
  t.same(
    files.filter((file) => !kinds.some((kind) => kind.test(file))),
    [],
  )
  for (const file of [
    'LICENSE',
    'README.md',
    'CHANGELOG.md',
    'build/src/storage/redis/lua/publish.lua',
    'build/src/embedded/ready-redis.js',
    manifest.bin.runcast,
  ]) {
    t.ok(files.includes(file), file)
  }
  const modules = files.filter((file) => /\.m?js$/.test(file))
  for (const file of modules) t.notMatch(read(file), /^\/\/# sourceMappingURL/m, file)
  const { size } = statSync(tarball)
  t.comment(`${size} bytes packed, ${files.length} files`)
  t.ok(size < MAX_PACKED_BYTES, `${size} bytes packed`)
})

t.test('whatever a module or a declaration imports from the package is in it', async (t) => {
  const modules = files.filter((file) => /\.(m?js|d\.ts)$/.test(file))
  t.ok(modules.length > 300)
  const missing = modules.flatMap((file) => importsOf(file).filter((path) => !files.includes(path)))
  t.same(missing, [])
})

t.test('whatever else they import is a dependency, or an optional peer that the clone has for its tests', async (t) => {
  const modules = files.filter((file) => /^build\/.*\.(js|d\.ts)$/.test(file))
  const imported = modules.flatMap((file) => ts.preProcessFile(read(file)).importedFiles.map(({ fileName }) => fileName))
  const foreign = imported.filter((name) => !/^(\.|node:)/.test(name)).map((name) => /^(@[^/]+\/)?[^/]+/.exec(name)?.[0] ?? name)
  const peers = Object.keys(manifest.peerDependencies)
  t.same([...new Set(foreign)].toSorted(), [...Object.keys(manifest.dependencies), ...peers].toSorted())
  for (const peer of peers) {
    t.equal(manifest.peerDependenciesMeta[peer].optional, true, peer)
    t.equal(manifest.devDependencies[peer], manifest.peerDependencies[peer], peer)
  }
})

t.test('the entries are the documented ones, as ESM with types; the command can be run', async (t) => {
  t.same(Object.keys(manifest.exports), ['.', './client', './kind', './protocol', './worker', './schemas/messages.json', './package.json'])
  t.equal(manifest.type, 'module')
  t.equal(manifest.scripts.prepack, manifest.scripts.build, 'what is published is compiled before')
  for (const paths of Object.values<object | string>(manifest.exports)) {
    for (const path of Object.values(typeof paths === 'string' ? [paths] : paths)) t.ok(files.includes(path.slice(2)), path)
  }
  t.match(read(manifest.bin.runcast), /^#!\/usr\/bin\/env node\n/)
})

t.test('every module that does something when it is imported is among the side effects, and no other', async (t) => {
  const passive = new Set([
    ts.SyntaxKind.ImportDeclaration,
    ts.SyntaxKind.ExportDeclaration,
    ts.SyntaxKind.FunctionDeclaration,
    ts.SyntaxKind.ClassDeclaration,
    ts.SyntaxKind.VariableStatement,
  ])
  const acts = (file: string) => {
    const { statements } = ts.createSourceFile(file, read(file), ts.ScriptTarget.Latest)
    return statements.some((statement) => !passive.has(statement.kind))
  }
  const acting = files.filter((file) => /^build\/.*\.js$/.test(file) && acts(file))
  t.same(acting.map((file) => `./${file}`).toSorted(), manifest.sideEffects)
})

t.test('the client needs nothing of Node and no other package', async (t) => {
  const reached = new Set<string>()
  const reach = (file: string): void => {
    if (reached.has(file)) return
    reached.add(file)
    const foreign = ts.preProcessFile(read(file)).importedFiles.filter(({ fileName }) => !fileName.startsWith('.'))
    t.same(foreign, [], file)
    for (const path of importsOf(file)) reach(path)
  }
  reach(manifest.exports['./client'].default.slice(2))
  t.ok(reached.size > 5)
})

/** A kind, as hubs, workers and pages import it. */
const COUNTDOWN = `
import { defineKind } from 'runcast/kind'
export const countdown = defineKind({
  name: 'countdown',
  dialect: 'process',
  input: { type: 'object', properties: { from: { type: 'integer', minimum: 1 } }, required: ['from'], additionalProperties: false },
})
`
/** What a page does with it. The result of its work goes to stdout, where a page has an element. */
const SUBMIT = `
import { createClient } from 'runcast/client'
import { countdown } from './countdown.mjs'
const [url, token, from] = process.argv.slice(2)
const job = await createClient({ url, token }).submit(countdown, { from: Number(from) }).catch((error) => error)
console.log(job.code ?? (await job.status()).kind)
`

t.test('a hub and a page share the module of a kind; the page needs no other package and checks nothing', async (t) => {
  const { url, prefix } = await sharedTestRedis()
  writeFileSync(join(folder, 'countdown.mjs'), COUNTDOWN)
  const [{ createHub }, { countdown }] = await Promise.all(
    ['node_modules/runcast/build/src/index.js', 'countdown.mjs'].map((file) => import(pathToFileURL(join(folder, file)).href)),
  )
  const hub = createHub({ redis: { url, prefix }, kinds: [countdown], auth: { jwtSecret: SECRET }, drainMs: 0 })
  t.teardown(() => hub.close())
  const address: string = await hub.listen({ port: 0 })
  // Outside of the clone no other package is found. A bundler takes the condition `browser` for pages.
  const page = emptyFolder(t)
  mkdirSync(join(page, 'node_modules'))
  cpSync(root, join(page, 'node_modules/runcast'), { recursive: true })
  writeFileSync(join(page, 'countdown.mjs'), COUNTDOWN)
  writeFileSync(join(page, 'page.mjs'), SUBMIT)
  const open = (from: number) => {
    const args = ['--conditions=browser', 'page.mjs', address, signToken(SECRET, 'alice', 60), String(from)]
    return startCommand(t, process.execPath, args, { cwd: page }).ended
  }
  t.same(await open(3), { code: 0, stdout: 'countdown\n', stderr: '' })
  t.same(await open(0), { code: 0, stdout: 'invalid\n', stderr: '' }, 'the hub checks')
  const alone = startCommand(t, process.execPath, ['page.mjs', address], { cwd: page })
  t.match(await alone.ended, { code: 1, stderr: /Cannot find package 'typebox'/ }, 'without the condition it is the whole contract')
  t.same(importsOf(manifest.exports['./kind'].browser.slice(2)), [])
})

t.test('publint finds nothing', async (t) => {
  const { messages } = await publint({ pkgDir: root, pack: false, strict: true })
  t.same(messages, [])
})

t.test('the types are right for all ways to resolve them, the oldest included', async (t) => {
  // The package is ESM alone, which `require` loads from Node 20.19 on.
  const attw = join(ROOT, 'node_modules/@arethetypeswrong/cli/dist/index.js')
  const args = [attw, tarball, '--profile', 'strict', '--ignore-rules', 'cjs-resolves-to-esm', '--no-color', '--no-emoji']
  const { code, stdout, stderr } = await startCommand(t, process.execPath, args).ended
  t.equal(code, 0, `${stdout}${stderr}`)
  for (const entry of ['runcast', 'runcast/client', 'runcast/kind', 'runcast/protocol', 'runcast/worker']) t.match(stdout, `"${entry}"`)
})

/** A program in TypeScript, with whatever the package offers. */
const TYPED = `
import {
  buildHubNode, buildServer, createClient, createHub, createJobs, createWorker, defineKind, implement, JobFailed, type JobStatus, loadConfig, Refusal, RuncastError,
  type ClientWatchOptions, type Computation, type Job, type KindContract, type Log, type Processor, type StartContext,
} from 'runcast'
import { createClient as createHubClient, type JobView, RuncastError as ErrorOfClient, type WatchOptions, watchJob, watchProcesses } from 'runcast/client'
import { CODES, OPTIMIZATION_MESSAGES, type ProcessMessage, PROCESS_MESSAGES, RuncastError as ErrorOfProtocol, CLAIM_EVENTS } from 'runcast/protocol'
import { serveJobs } from 'runcast/worker'

const jobs = createJobs({ redisUrl: 'redis://127.0.0.1', owner: 'alice' })
const horn = ${JSON.stringify(HORN)} as const
const { process_id: id }: JobStatus = await jobs.submit('run', horn)
for await (const message of jobs.watch<'run'>(id)) if (message.type === 'progress') message.percent.toFixed()
// @ts-expect-error: no such material
await jobs.submit('run', { ...horn, material: 'wood' })
export const timer = defineKind({
  name: 'timer',
  dialect: 'process',
  input: { type: 'object', properties: { seconds: { type: 'integer' } }, required: ['seconds'] },
  processor: async ({ seconds }, job) => {
    job.progress({ current: 0, total: seconds, detail: '' })
    return {}
  },
})
await jobs.submit(timer, { seconds: 3 })
// @ts-expect-error: of another type
await jobs.submit(timer, { seconds: 'three' })
const hub = await buildHubNode(loadConfig({}), console)
await hub.server.listen({ port: 0 })
export const all: unknown[] = [buildServer, watchProcesses, serveJobs, Refusal, CODES.not_found.http, OPTIMIZATION_MESSAGES, PROCESS_MESSAGES, CLAIM_EVENTS]

const redis = { url: 'redis://127.0.0.1' }
const countdown = defineKind({
  name: 'countdown',
  dialect: 'process',
  input: {
    type: 'object',
    properties: {
      from: { type: 'integer' },
      pauseMs: { type: 'integer', default: 10 },
      note: { type: 'string' },
      rows: { type: 'object', properties: { by: { type: 'string', enum: ['line', 'page'], default: 'line' } }, default: {} },
    },
    required: ['from'],
  },
})
const counting = implement(countdown, {
  run: async ({ from, pauseMs, note, rows }, job) => {
    const filled: [number, 'line' | 'page'] = [pauseMs, rows.by]
    // @ts-expect-error: it has no default
    const given: string = note
    all.push(filled, given)
    await job.progress({ current: 0, total: from, detail: job.id })
    return { counted: from }
  },
})
const ownHub = createHub({ redis, kinds: [countdown], auth: { jwtSecret: 'x' }, finalTtlMs: 60_000, docs: false, limits: { maxKeys: 100 } })
const url: string = await ownHub.listen({ port: 0 })
const worker = createWorker({ redis, work: [counting], concurrency: 2 })
await worker.start()
for (const client of [createClient({ redis, owner: 'alice', kinds: [countdown] }), createClient({ url, token: 't' }), createHubClient({ url, token: () => 't' })]) {
  const job = await client.submit(countdown, { from: 3 }, { id: 'a', timeoutMs: 5000, idempotencyKey: 'k' })
  for await (const event of job.events()) if (event.type === 'process_progress') event.progress.current.toFixed()
  for await (const event of job) {
    const message: ProcessMessage | { type: 'subscribed' } = event
    if (message.type === 'subscribed') break
  }
  const result: Readonly<Record<string, unknown>> = await job.result()
  const status: string = await job.cancel()
  if (result.counted === 3) await job.retry()
  const { jobs: listed, cursor } = await client.list({ kind: countdown, status: 'active', limit: 10 })
  const [first] = listed
  if (first?.failure) new JobFailed(first.id, first.failure).logTail.trim()
  const [named, next, at]: [string | undefined, string | null, number | undefined] = [status, cursor, first?.position.seq]
  // @ts-expect-error: of another type
  await client.submit(countdown, { from: 'three' })
  // @ts-expect-error: no such option
  await client.submit(countdown, { from: 3 }, { delay: 1 })
  await client.close()
  all.push([named, next, at])
}
// @ts-expect-error: a setting of hubs alone
createWorker({ redis, work: [counting], drainMs: 1 })
// @ts-expect-error: a switch
createHub({ redis, auth: {}, docs: 'off' })
// @ts-expect-error: of another input
implement(countdown, { run: async ({ to }) => ({ to }) })
export const failed = (error: unknown) =>
  error instanceof RuncastError || error instanceof ErrorOfClient || error instanceof ErrorOfProtocol ? [error.code, error.status, error.retryAfterMs, error.issues] : null
export const view = (url: string, token: string): JobView | null => {
  const options: WatchOptions = { url, token: () => token, WebSocket, onMessage: (_message, { percent }) => percent?.toFixed() }
  return watchJob(options).view
}

// Parts of a program in functions of their own: each type that it passes on has a name.
const contract = { name: 'part', dialect: 'process', input: { type: 'object', properties: {} } } as const satisfies KindContract
const compute: Processor<unknown, 'process'> = async (_input, job: Job<'process'>) => ({ id: job.id })
const prepare = async ({ env }: StartContext) => ({ run: env.FAST === 'yes' ? compute : async () => ({}) })
const computation: Computation<unknown, 'process'> = { prepare }
const silent: Log = { info() {}, warn() {}, error() {} }
const watching: ClientWatchOptions = { onEnd: ({ code }) => code.toFixed() }
all.push(createWorker({ redis, work: [implement(defineKind(contract), computation)], log: silent }), watching)
`
/** A server with decorators of its own, which have names that the hub's own server uses too. */
const HOST = `
import Fastify, { type FastifyRequest } from 'fastify'
import { type LoggedIn, mountHub, runcast } from 'runcast'

declare module 'fastify' {
  interface FastifyInstance {
    authenticate: (request: FastifyRequest) => Promise<void>
    sessions: Map<string, LoggedIn>
  }
  interface FastifyRequest {
    identity: string
  }
}

const app = Fastify()
const redis = { url: 'redis://127.0.0.1' }
await app.register(runcast, { prefix: '/runcast', redis, authenticate: (request) => app.sessions.get(request.identity) ?? null })
await app.register(runcast, { prefix: '/runcast', redis, authenticate: async ({ ip }) => ({ sub: ip, role: 'user', expiresAt: new Date() }) })
// @ts-expect-error: no such role
await app.register(runcast, { prefix: '/runcast', redis, authenticate: () => ({ sub: 'alice', role: 'emperor' }) })
// @ts-expect-error: no Redis
await app.register(runcast, { prefix: '/runcast' })
export const hub = await mountHub({ prefix: '/runcast', redis, authenticate: ({ headers }) => ({ sub: headers.host ?? '', role: 'user' }) })
app.server.on('upgrade', hub.upgrade)
`
const PAGE = `
import { createClient, watchJob } from 'runcast/client'
import { defineKind } from 'runcast/kind'
const countdown = defineKind({
  name: 'countdown',
  dialect: 'process',
  input: { type: 'object', properties: { from: { type: 'integer' } }, required: ['from'] },
})
await createClient({ url: '/' }).submit(countdown, { from: 3 })
// @ts-expect-error: of another type
await createClient({ url: '/' }).submit(countdown, { from: 'three' })
watchJob({ url: 'ws://hub', token: () => '', WebSocket, onMessage: (_message, { percent }) => (document.title = \`\${percent} %\`) })
const job = await createClient({ url: '/', token: async () => '' }).submit('run', { width_mm: 25 })
for await (const event of job) document.title = event.type
`

t.test('its types hold for a strict program on Node, without skipLibCheck', async (t) => {
  const types = { types: ['node'], typeRoots: [join(ROOT, 'node_modules/@types')] }
  t.same(typeFaults(folder, 'program.mts', TYPED, types), [])
})

t.test('its types hold for a server that a hub is mounted in, beside decorators of its own', async (t) => {
  const types = { types: ['node'], typeRoots: [join(ROOT, 'node_modules/@types')] }
  t.same(typeFaults(folder, 'host.mts', HOST, types), [])
})

t.test('the types of the client hold for a page, which has none of those of Node', async (t) => {
  t.same(typeFaults(folder, 'page.mts', PAGE, { types: [], lib: ['lib.es2023.d.ts', 'lib.dom.d.ts'] }), [])
})
