import { execFile, execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { SETTINGS } from '../../src/config/config.js'
import { loadSolvers } from '../../src/config/load-solvers.js'
import { normaliseInput, objectOf } from '../../src/jobs/input.js'
import { loadProviders } from '../../src/kinds/node/benchmark/load-providers.js'
import { codeBlocks } from '../support/documents.js'
import { BUILT_IN } from '../support/kinds.js'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const GENERATOR = join(ROOT, 'docs/.vitepress/generate.mjs')
/** What the site makes of the sources, and what it is made with, is no document. */
const DOCS = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' }).filter((name) =>
  /^(?!reference\/api|\.).*\.md$/.test(name),
)
const DOCUMENTS = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md', ...DOCS.map((name) => `docs/${name}`)]
const texts = new Map(DOCUMENTS.map((name) => [name, read(name)]))
const readme = texts.get('README.md') ?? ''
const settings = texts.get('docs/reference/settings.md') ?? ''
const { version, scripts } = JSON.parse(read('package.json')) as { version: string; scripts: Record<string, string> }

/** Variables that are read from the environment and are no settings of the program: where each is read. */
const OTHER_VARIABLES: Readonly<Record<string, string>> = {
  COUNTDOWN_TIMEOUT_S: 'docs/reference/library.md',
  RUNCAST_NO_INSTALL: 'scripts/steps.mjs',
  CHAOS_SECONDS: 'test/e2e/lifecycle/main.ts',
  CHAOS_SEED: 'test/e2e/crowd.test.ts',
  NODE_ENV: 'scripts/packages.mjs',
  RUNCAST_TOKEN: 'src/cli/hub-access.ts',
  RUNCAST_URL: 'src/cli/hub-access.ts',
  RUNCAST_RUN_ID: 'src/worker/program/environment.ts',
  RUNCAST_RUN_DIR: 'src/worker/program/environment.ts',
  TRACEPARENT: 'src/worker/program/environment.ts',
  OTEL_EXPORTER_OTLP_ENDPOINT: 'src/app/start-tracing.ts',
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'src/app/start-tracing.ts',
  OTEL_TRACES_EXPORTER: 'src/app/start-tracing.ts',
  OTEL_SDK_DISABLED: 'src/app/start-tracing.ts',
  OTEL_SERVICE_NAME: 'src/app/start-tracing.ts',
  OTEL_TRACES_SAMPLER: 'test/e2e/tracing.test.ts',
  OTEL_TRACES_SAMPLER_ARG: 'test/e2e/tracing.test.ts',
  OTEL_LOG_LEVEL: 'test/e2e/tracing.test.ts',
  AWS_ACCESS_KEY_ID: 'test/support/s3-server.ts',
  AWS_SECRET_ACCESS_KEY: 'test/support/s3-server.ts',
  RUNCAST_BIND: 'docker-compose.yml',
  RUNCAST_PORT: 'docker-compose.yml',
  RUNCAST_SECRETS: 'docker-compose.yml',
  RUNCAST_SUBNET: 'docker-compose.yml',
  RUNCAST_IMAGE: 'docker-compose.yml',
}

function read(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8')
}

/** What matches in all documents, with the document's name: each group of the pattern. */
function found(pattern: RegExp, only = DOCUMENTS): [file: string, match: string][] {
  return only.flatMap((file) => [...(texts.get(file) ?? '').matchAll(pattern)].map(([, match = '']): [string, string] => [file, match]))
}

/** The fenced blocks of one language in the documents whose names match. */
function blocks(language: string, only = /./): string[] {
  const all = [...texts].filter(([file]) => only.test(file)).flatMap(([, text]) => codeBlocks(text))
  return all.filter((block) => block.language === language).map(({ code }) => code)
}

/** A text without its code blocks and tables. */
function proseOf(text: string): string[] {
  return text
    .replace(/^---\n[\s\S]*?^---$/m, '')
    .replaceAll(/^( *)```[\s\S]*?^ *```$/gm, '')
    .split('\n')
    .filter((line) => !line.startsWith('|'))
}

const MAX_README_LINES = 200
const MAX_COLUMNS = 120
const RULE = 'deploy/k8s/components/monitoring/prometheus-rule.yaml'
const SCHEMAS = 'schemas/messages.json'

/** Runs the generator; answers its exit code. */
function generate(...args: string[]): Promise<number> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [GENERATOR, ...args], () => resolve(child.exitCode ?? -1))
  })
}

t.test('generated parts are fresh; a stale one is reported and repaired', async (t) => {
  const copy = t.testdir({})
  const generated = [...[...texts].filter(([, text]) => /^<!-- \w+:begin -->$/m.test(text)).map(([name]) => name), RULE, SCHEMAS]
  t.ok(generated.length > 8)
  for (const name of generated) {
    mkdirSync(join(copy, dirname(name)), { recursive: true })
    copyFileSync(join(ROOT, name), join(copy, name))
  }
  writeFileSync(join(copy, 'docs/reference/settings.md'), settings.replace('| `STALL_MS` | `', '| `STALL_MS` | `1'))
  t.equal(await generate('--check', copy), 1)
  t.equal(await generate(copy), 0)
  for (const name of generated) t.ok(readFileSync(join(copy, name), 'utf8') === read(name), `${name} is stale: run npm run docs`)
})

t.test('every relative link leads to a file, and to a heading of it', async (t) => {
  const links = found(/\]\(([^)\s]+)\)/g).filter(([, link]) => !/^[a-z]+:/.test(link))
  t.ok(links.length > 10)
  for (const [file, link] of links) {
    const [path = '', anchor] = link.split('#')
    const target = path === '' ? file : join(dirname(file), path)
    t.ok(existsSync(join(ROOT, target)), `${file}: ${link}`)
    if (anchor !== undefined) t.ok(anchorsOf(read(target)).includes(anchor), `${file}: ${link} is a heading`)
  }
})

/** Headings as GitHub names them. */
function anchorsOf(text: string): string[] {
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading.toLowerCase())
  return headings.map((heading) => heading.replace(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-'))
}

t.test('every file that is named exists', async (t) => {
  const named = found(/(?<![\w./-])((?:src|workers|test|docs|scripts|bench|build|deploy|examples)\/[\w./-]*\w)/g)
  t.ok(named.length > 50)
  for (const [file, path] of named) {
    const source = path.replace(/^build\//, '').replace(/(?<=^(src|workers|test|bench)\/.*)\.js$/, '.ts')
    t.ok(existsSync(join(ROOT, source)), `${file}: ${path} does not exist`)
  }
})

t.test('each decision record has all parts, one number and a line in the index', async (t) => {
  const records = DOCUMENTS.filter((file) => /^docs\/internals\/adr\/\d/.test(file)).toSorted()
  t.ok(records.length > 30)
  const index = read('docs/internals/adr/README.md').replaceAll(/\n +/g, ' ')
  const numbers = records.map((file) => file.split('/').at(-1)?.slice(0, 4))
  t.equal(new Set(numbers).size, records.length, 'no number twice')
  for (const file of records) {
    const [name = '', text] = [file.split('/').at(-1), read(file)]
    const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading)
    t.same(headings.slice(1), ['Status', 'Context', 'Decision', 'Consequences', 'Where it lives'], file)
    t.ok(index.includes(`[${headings[0]}](${name})`), `${file} is in the index, by its title`)
  }
})

t.test('the architecture names each layer, and each port with its members', async (t) => {
  const text = texts.get('docs/internals/architecture.md') ?? ''
  const { LAYERS } = (await import(`${ROOT}.dependency-cruiser.mjs`)) as { LAYERS: readonly string[] }
  const layers = [...text.matchAll(/^\| ((?:`[\w/]+`(?:, )?)+) \| /gm)].flatMap(([, names = '']) => names.replaceAll('`', '').split(', '))
  t.same(
    layers.filter((name) => LAYERS.includes(name)),
    LAYERS,
  )
  const ports = [...text.matchAll(/^\| `(\w+)` \| `(src\/[\w/.-]+)` \| (.+?) \| /gm)]
  t.ok(ports.length > 15)
  for (const [, port, file = '', members = ''] of ports) {
    const [, body = ''] = new RegExp(`^export interface ${port}\\b[^{]*{\n([^]*?)^}`, 'm').exec(read(file)) ?? []
    const declared = [...body.matchAll(/^ {2}(?:readonly )?(\w+)[(:?]/gm)].map(([, name]) => `\`${name}\``)
    t.same(members.split(', ').toSorted(), declared.toSorted(), `${port} in ${file}`)
  }
})

t.test('each name that CONTRIBUTING says where to find is there', async (t) => {
  const section =
    read('CONTRIBUTING.md')
      .split('\n## ')
      .find((part) => part.startsWith('Where do I find')) ?? ''
  const rows = section.split('\n').filter((line) => line.startsWith('| '))
  const places = rows.flatMap((row) => {
    const names = [...row.matchAll(/`([a-z]+[A-Z]\w*|[A-Z]{4,})`/g)].map(([, name = '']) => name)
    const paths = [...row.matchAll(/`((?:src|test|scripts)\/[\w./-]+)`/g)].map(([, path = '']) => path)
    return paths.length === 0 ? [] : names.map((name) => ({ name, paths }))
  })
  t.ok(rows.length > 10 && places.length > 4)
  for (const { name, paths } of places) {
    const files = paths.flatMap((path) =>
      /\.\w+$/.test(path) ? [path] : readdirSync(join(ROOT, path), { recursive: true, encoding: 'utf8' }).map((file) => join(path, file)),
    )
    t.ok(
      files.some((file) => /\.\w+$/.test(file) && read(file).includes(name)),
      `${name} in ${paths.join(' or ')}`,
    )
  }
})

t.test('every npm script that is named exists', async (t) => {
  const named = [...found(/\bnpm run ([\w:-]+)/g), ...found(/\bnpm (test|start)\b/g)]
  t.ok(named.length > 10)
  for (const [file, name] of named) t.ok(name in scripts, `${file}: ${name} is no script of package.json`)
})

t.test('every setting that is named exists, and the reference has all of them', async (t) => {
  // Names that the reader's own file of providers gives to the keys are no settings.
  const keys = found(/"api_key_env":"(\w+)"/g).map(([, name]) => name)
  const named = [...found(/\b([A-Z]+(?:_[A-Z]+)+)\b/g), ...found(/(?<!\S)([A-Z_]+)=\S* (?:npm|node)\b/g)]
  t.ok(named.length > 50)
  for (const [file, name] of named) {
    if (keys.includes(name)) continue
    const reader = OTHER_VARIABLES[name]
    t.ok(reader ? read(reader).includes(name) : name in SETTINGS, `${file}: ${name} is no setting`)
  }
  for (const name of Object.keys(SETTINGS))
    t.ok(settings.includes(`\`${name}\``), `${name} is not in docs/reference/settings.md: run npm run docs`)
})

t.test('JSON in the documents is JSON, and what is submitted is valid', async (t) => {
  // One document over several lines, or one on each line.
  const examples = blocks('json').flatMap((block) => (/^[{[]$/m.test(block) ? [block] : block.trim().split('\n')))
  t.ok(examples.length > 0)
  for (const example of examples) t.doesNotThrow(() => JSON.parse(example), example.slice(0, 80))
  const bodies = blocks('sh', /^docs\/(kinds|operate)\//).flatMap((block) =>
    [...block.matchAll(/-d '([^']+)'/g)].map(([, body = '']) => body),
  )
  t.ok(bodies.length > 0)
  const submit = ({
    input,
    solver,
    process_id: _id,
    optimization_id,
    ...rest
  }: {
    input?: unknown
    solver?: string
    process_id?: string
    optimization_id?: string
  }) => {
    if (input !== undefined) return solver ? objectOf(input) : normaliseInput(BUILT_IN.get('run'), input)
    return normaliseInput(BUILT_IN.get(optimization_id === undefined ? 'benchmark' : 'optimization'), rest)
  }
  for (const body of bodies) t.doesNotThrow(() => submit(JSON.parse(body)), body.slice(0, 80))
  const fileWith = (what: string) =>
    join(t.testdir({ 'file.json': examples.find((example) => example.startsWith(`{"${what}"`)) ?? '' }), 'file.json')
  t.ok(loadProviders(fileWith('providers')).length > 1, 'and so is the file of providers')
  t.ok(loadSolvers(fileWith('solvers'), BUILT_IN).length > 1, 'and that of solvers')
})

t.test('the README is short; every npx runs what is installed', async (t) => {
  t.ok(readme.split('\n').length <= MAX_README_LINES)
  for (const [file, after] of found(
    /\bnpx (\S+)/g,
    DOCUMENTS.filter((name) => name !== 'CHANGELOG.md'),
  ))
    t.ok(/^--no-install$|^biome$/.test(after), `${file}: npx ${after}`)
})

t.test('no line of prose is too long', async (t) => {
  for (const [file, text] of texts) {
    if (file === 'CHANGELOG.md') continue
    const long = proseOf(text).filter((line) => line.length > MAX_COLUMNS)
    t.same(long, [], file)
  }
})

t.test('the JavaScript in the documents is JavaScript', async (t) => {
  const examples = blocks('js')
  t.ok(examples.length > 10)
  const folder = t.testdir({})
  for (const [i, example] of examples.entries()) {
    const file = join(folder, `${i}.mjs`)
    writeFileSync(file, example)
    t.doesNotThrow(() => execFileSync(process.execPath, ['--check', file], { stdio: 'pipe' }))
  }
})

t.test('the changelog has an entry for this version', async (t) => {
  t.match(texts.get('CHANGELOG.md'), new RegExp(`^## \\[${version.replaceAll('.', '\\.')}\\] - (Unreleased|\\d{4}-\\d\\d-\\d\\d)$`, 'm'))
})

t.test('no tracked file mentions the machine it was written on', { skip: !existsSync(join(ROOT, '.git')) && 'no clone' }, async (t) => {
  const files = execFileSync('git', ['ls-files', '-z'], { cwd: ROOT, encoding: 'utf8' }).split('\0')
  const present = files.filter((name) => name !== '' && existsSync(join(ROOT, name)))
  t.ok(present.length > 100)
  // In pieces, so that this file does not find itself.
  const folders = ['work', 'root', 'home'].join('|')
  const foreign = ['design', 'spec'].map((name) => `shared/${name}`).join('|')
  const machine = new RegExp(`(?<![\\w.*)}-])/(${folders})/|${foreign}`)
  for (const file of present) t.notMatch(read(file), machine, file)
})
