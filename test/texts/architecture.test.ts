import { readdirSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import t from 'tap'
import ts from 'typescript'

/** A part of the house: its files, the parts that they may import beside itself, the npm packages, and whether Node's own modules. */
interface Part {
  readonly name: string
  readonly files: RegExp
  readonly imports: readonly string[] | 'all'
  readonly npm: readonly string[]
  readonly node: boolean
}

/** Who may import whom. A file belongs to the first part that it matches; imports of types count too. */
const PARTS: readonly Part[] = [
  { name: 'protocol', files: /^src\/protocol\//, imports: [], npm: ['redos-detector', 'typebox'], node: false },
  { name: 'tally', files: /^src\/tally\//, imports: [], npm: [], node: false },
  { name: 'client', files: /^src\/client\//, imports: ['protocol'], npm: [], node: false },
  { name: 'broker redis', files: /^src\/broker\/redis-/, imports: ['protocol', 'broker', 'hub ports'], npm: ['ioredis'], node: true },
  { name: 'broker', files: /^src\/broker\//, imports: ['protocol'], npm: [], node: false },
  { name: 'hub ports', files: /^src\/hub\/(admission|policy|revocations)\.ts$/, imports: ['protocol'], npm: [], node: false },
  { name: 'hub', files: /^src\/hub\//, imports: ['protocol', 'broker', 'hub ports', 'tally'], npm: [], node: false },
  { name: 'program', files: /^src\/program\//, imports: ['protocol', 'hub', 'hub ports'], npm: [], node: false },
  { name: 'queue port', files: /^src\/jobs\/(claims|queue|queue-watch)\.ts$/, imports: ['protocol', 'broker'], npm: [], node: false },
  {
    name: 'queue adapter',
    files: /^src\/jobs\/bull-[a-z]+\.ts$/,
    imports: ['protocol', 'broker', 'queue port'],
    npm: ['bullmq', 'ioredis'],
    node: false,
  },
  {
    name: 'attempt',
    files: /^src\/jobs\/(attempt|attempt-tally|report-events)\.ts$/,
    imports: ['protocol', 'broker', 'queue port', 'tally'],
    npm: [],
    node: false,
  },
  {
    name: 'jobs',
    files: /^src\/jobs\//,
    imports: ['protocol', 'broker', 'queue port', 'attempt', 'tally'],
    npm: ['typebox', 'uuid'],
    node: true,
  },
  { name: 'files', files: /^src\/files\//, imports: ['protocol'], npm: ['typebox'], node: true },
  { name: 'providers', files: /^src\/providers\//, imports: ['protocol', 'files'], npm: ['typebox'], node: true },
  { name: 'solvers', files: /^src\/solvers\//, imports: ['protocol', 'files'], npm: ['typebox'], node: true },
  {
    name: 'http',
    files: /^src\/http\//,
    imports: ['protocol', 'hub', 'hub ports', 'jobs', 'tally'],
    npm: [
      'fastify',
      'fastify-plugin',
      '@fastify/cors',
      '@fastify/helmet',
      '@fastify/jwt',
      '@fastify/swagger',
      '@fastify/type-provider-typebox',
      '@fastify/websocket',
      '@scalar/fastify-api-reference',
      'jose',
      'typebox',
      'ws',
    ],
    node: true,
  },
  { name: 'processor', files: /^workers\/(processor|thrown)\.ts$/, imports: ['protocol', 'runner'], npm: [], node: true },
  {
    name: 'benchmark',
    files: /^workers\/benchmark\//,
    imports: ['protocol', 'processor', 'providers'],
    npm: ['eventsource-parser', 'openai', 'typebox'],
    node: true,
  },
  {
    name: 'optimizer',
    files:
      /^workers\/optimization\/(archive|compromise|crowding|dominance|growth|hypervolume|judge|nsga2|optimizer|problem|random-numbers|sampling|strategies|variable-values|variation)\.ts$/,
    imports: [],
    npm: ['pure-rand'],
    node: false,
  },
  { name: 'command', files: /^workers\/command\//, imports: ['protocol', 'processor', 'solvers'], npm: ['typebox'], node: true },
  { name: 'threads', files: /^workers\/threads\//, imports: ['protocol', 'processor'], npm: [], node: true },
  {
    name: 'steps',
    files: /^workers\/steps\//,
    imports: ['protocol', 'broker', 'jobs', 'queue port', 'optimizer'],
    npm: ['uuid'],
    node: false,
  },
  { name: 'processors', files: /^workers\/[a-z-]+\//, imports: ['protocol', 'processor'], npm: [], node: true },
  {
    name: 'runner',
    files: /^workers\/(deferred|heartbeat|job-context|report-queue|reports|run-job|settle|work-tally)\.ts$/,
    imports: ['protocol', 'broker', 'queue port', 'attempt', 'processor'],
    npm: [],
    node: true,
  },
  {
    name: 'worker',
    files: /^workers\/(step-)?worker\.ts$/,
    imports: ['protocol', 'broker', 'jobs', 'queue port', 'queue adapter', 'attempt', 'runner', 'processor'],
    npm: ['bullmq', 'ioredis'],
    node: true,
  },
  { name: 'kind definition', files: /^src\/define-kind\.ts$/, imports: ['protocol', 'processor'], npm: ['typebox'], node: false },
  { name: 'server', files: /^src\/server\.ts$/, imports: ['protocol', 'hub', 'hub ports', 'jobs', 'http'], npm: ['fastify'], node: true },
  {
    name: 'metrics',
    files: /^src\/metrics\//,
    imports: ['protocol', 'broker redis', 'hub', 'http', 'jobs', 'attempt', 'queue port', 'runner', 'tally'],
    npm: ['prom-client'],
    node: false,
  },
  { name: 'embedded', files: /^src\/embedded\//, imports: [], npm: [], node: true },
  { name: 'cli', files: /^src\/cli\//, imports: 'all', npm: ['fast-jwt', 'ws'], node: true },
  { name: 'composition', files: /^(src|workers)\/[a-z-]+\.ts$/, imports: 'all', npm: ['close-with-grace', 'fastify', 'pino'], node: true },
]

const ROOT = new URL('../../../', import.meta.url)
const sources = new Map(
  ['src', 'workers'].flatMap((folder) =>
    readdirSync(new URL(folder, ROOT), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => [posix.join(folder, name), readFileSync(new URL(`${folder}/${name}`, ROOT), 'utf8')] as const),
  ),
)

function partOf(file: string): Part | undefined {
  return PARTS.find((part) => part.files.test(file))
}

/** What a file imports: paths of other sources, packages, and Node's own modules. */
function importsOf(file: string) {
  const names = ts.preProcessFile(sources.get(file) ?? '').importedFiles.map(({ fileName }) => fileName)
  const [own, foreign] = [names.filter((name) => name.startsWith('.')), names.filter((name) => !name.startsWith('.'))]
  return {
    files: own.map((name) => posix.join(posix.dirname(file), name).replace(/\.js$/, '.ts')),
    node: foreign.filter((name) => name.startsWith('node:')),
    npm: foreign.filter((name) => !name.startsWith('node:')).map((name) => name.split('/', name.startsWith('@') ? 2 : 1).join('/')),
  }
}

/** The sources that satisfy a condition. */
function filesWith(condition: (file: string, text: string) => boolean): string[] {
  return [...sources].filter(([file, text]) => condition(file, text)).map(([file]) => file)
}

t.test('every source belongs to a part, and every part has sources', async (t) => {
  t.ok(sources.size > 60)
  t.same(
    filesWith((file) => !partOf(file)),
    [],
  )
  for (const part of PARTS)
    t.ok(
      [...sources.keys()].some((file) => partOf(file) === part),
      part.name,
    )
})

t.test('a part imports only the parts that it may', async (t) => {
  for (const file of sources.keys()) {
    const part = partOf(file)
    for (const target of importsOf(file).files) {
      t.ok(sources.has(target), `${file} imports ${target}, which exists`)
      const other = partOf(target)
      const isAllowed = other === part || part?.imports === 'all' || (other && part?.imports.includes(other.name))
      t.ok(isAllowed, `${file} (${part?.name}) imports ${target} (${other?.name})`)
    }
  }
})

t.test('a part imports only the packages that it may, and no part has a leave that it does not use', async (t) => {
  const used = new Set<string>()
  for (const file of sources.keys()) {
    const part = partOf(file)
    const { npm, node } = importsOf(file)
    for (const name of npm) {
      used.add(`${part?.name} ${name}`)
      t.ok(part?.npm.includes(name), `${file} (${part?.name}) imports ${name}`)
    }
    if (!part?.node) t.same(node, [], `${file} (${part?.name}) runs without Node`)
  }
  for (const part of PARTS) for (const name of part.npm) t.ok(used.has(`${part.name} ${name}`), `${part.name} needs ${name}`)
})

t.test('the client runs in browsers as it is compiled: all that it loads is its own, and needs no package', async (t) => {
  const loaded = new Set<string>()
  const load = (file: string): void => {
    if (loaded.has(file)) return
    loaded.add(file)
    const text = readFileSync(new URL(`build/${file}`, ROOT), 'utf8')
    for (const { fileName } of ts.preProcessFile(text).importedFiles) {
      t.ok(fileName.startsWith('.'), `${file} loads ${fileName}`)
      if (fileName.startsWith('.')) load(posix.join(posix.dirname(file), fileName))
    }
    t.notMatch(text, /\b(process\.(env|argv|on|once|nextTick|stdout|stderr|exit)|Buffer|setImmediate|require)\b/, file)
  }
  load('src/client/index.js')
  t.ok(loaded.has('src/client/watch-processes.js') && loaded.size < 20, [...loaded].join(' '))
})

t.test('every imported package is a dependency, and every dependency is imported', async (t) => {
  const { dependencies } = JSON.parse(readFileSync(new URL('package.json', ROOT), 'utf8'))
  const imported = new Set([...sources.keys()].flatMap((file) => importsOf(file).npm))
  t.same([...imported].toSorted(), Object.keys(dependencies).toSorted())
})

t.test('BullMQ and Redis stay behind their ports', async (t) => {
  const importers = (name: string) => filesWith((file) => importsOf(file).npm.includes(name)).toSorted()
  t.same(importers('bullmq'), [
    'src/jobs/bull-claims.ts',
    'src/jobs/bull-commit.ts',
    'src/jobs/bull-events.ts',
    'src/jobs/bull-queue.ts',
    'workers/step-worker.ts',
    'workers/worker.ts',
  ])
  t.same(
    importers('ioredis').filter((file) => !file.startsWith('src/broker/redis-')),
    [
      'src/jobs/bull-claims.ts',
      'src/jobs/bull-connection.ts',
      'src/jobs/bull-events.ts',
      'src/jobs/bull-locks.ts',
      'src/jobs/bull-queue.ts',
      'src/jobs/bull-records.ts',
      'workers/step-worker.ts',
      'workers/worker.ts',
    ],
  )
})

t.test('the environment is read by mains, command line and embedded Redis alone', async (t) => {
  const readers = filesWith((_file, text) => /process\s*\.\s*env|env\s*}\s*=\s*process/.test(text))
  t.ok(readers.includes('src/main.ts'))
  t.same(
    readers.filter((file) => !/(^|\/)main\.ts$|^src\/(cli|embedded)\//.test(file)),
    [],
  )
})

t.test('no source is longer than 300 lines', async (t) => {
  for (const [file, text] of sources) t.ok(text.trimEnd().split('\n').length <= 300, file)
})

t.test('sources have named exports only', async (t) => {
  t.same(
    filesWith((_file, text) => /^export default/m.test(text)),
    [],
  )
})

/** Names of the members of an interface, inherited ones from the same file too. */
function membersOf(file: string, name: string): string[] {
  const source = ts.createSourceFile(file, sources.get(file) ?? '', ts.ScriptTarget.Latest)
  const found = source.statements.filter(ts.isInterfaceDeclaration).find((statement) => statement.name.text === name)
  if (!found) throw new Error(`${file} has no interface ${name}`)
  const parents = found.heritageClauses?.flatMap((clause) => clause.types.map((type) => type.expression.getText(source))) ?? []
  return [...found.members.map((member) => member.name?.getText(source) ?? ''), ...parents.flatMap((parent) => membersOf(file, parent))]
}

const PORTS = [
  ['src/broker/broker.ts', 'Broker'],
  ['src/broker/broker.ts', 'BrokerListener'],
  ['src/broker/checkpoints.ts', 'Checkpoints'],
  ['src/broker/job-store.ts', 'JobStore'],
  ['src/broker/job-store.ts', 'ActiveRounds'],
  ['src/broker/gate.ts', 'Gate'],
  ['src/jobs/queue.ts', 'Queue'],
  ['src/jobs/queue.ts', 'Backlog'],
  ['src/jobs/claims.ts', 'Claims'],
  ['src/hub/transport.ts', 'Transport'],
  ['src/hub/clock.ts', 'Clock'],
  ['src/hub/policy.ts', 'Policy'],
  ['src/hub/admission.ts', 'Admission'],
  ['src/hub/revocations.ts', 'Revocations'],
] as const

for (const [file, name] of PORTS) {
  t.test(`the port ${name} has at most seven members`, async (t) => {
    const members = membersOf(file, name)
    t.ok(members.length > 1 && members.length <= 7, members.join(', '))
    t.equal(new Set(members).size, members.length)
  })
}

/** The corridor from worker to browser. Hop 1 is any processor, hop 4 is publish.lua. */
const HOPS = {
  2: 'workers/job-context.ts',
  3: 'src/broker/redis-broker.ts',
  5: 'src/broker/redis-subscriber.ts',
  6: 'src/hub/hub.ts',
  7: 'src/hub/subscription.ts',
  8: 'src/hub/outbox.ts',
  9: 'src/http/transports/websocket-transport.ts',
  10: 'src/client/job-view.ts',
}

t.test('each file of the corridor names its hop, once and nowhere else', async (t) => {
  const named = [...sources].flatMap(([file, text]) => [...text.matchAll(/\bhop (\d+):/g)].map(([, hop]) => [Number(hop), file]))
  t.same(
    named.toSorted(([a], [b]) => Number(a) - Number(b)),
    Object.entries(HOPS).map(([hop, file]) => [Number(hop), file]),
  )
})
