import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { publint } from 'publint'
import t from 'tap'
import ts from 'typescript'
import { startCommand } from '../helpers/command.js'
import { emptyFolder, pack, ROOT } from '../helpers/packed.js'
import { startProcessesPlainly } from '../helpers/plain-processes.js'

startProcessesPlainly()

const MAX_PACKED_BYTES = 600_000
const tarball = await pack(t)
const folder = emptyFolder(t)
await startCommand(t, 'tar', ['-xzf', tarball, '-C', folder]).ended
const root = join(folder, 'package')
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
    /^docs\/[a-z]+\.md$/,
    /^examples\/[a-z-]+\/[\w-]+\.(md|js|py|sh|json)$|^examples\/[a-z-]+\/README\.md$/,
    /^scripts\/(command|ensure-redis|lock|package-managers|redis)\.mjs$/,
    /^build\/(src|workers)\/.*(?<!\.test)(\.js|\.d\.ts|\.lua|\.txt)$/,
  ]
  t.same(
    files.filter((file) => !kinds.some((kind) => kind.test(file))),
    [],
  )
  for (const file of ['LICENSE', 'README.md', 'CHANGELOG.md', 'build/src/broker/lua/publish.lua', manifest.bin.runcast]) {
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

t.test('the entries are the documented ones, as ESM with types; the command can be run', async (t) => {
  t.same(Object.keys(manifest.exports), ['.', './client', './protocol', './worker', './package.json'])
  t.equal(manifest.type, 'module')
  t.equal(manifest.scripts.prepack, manifest.scripts.build, 'what is published is compiled before')
  for (const { types, default: module } of Object.values<{ types: string; default: string }>(manifest.exports)) {
    for (const path of [types, module].filter((path) => path !== undefined)) t.ok(files.includes(path.slice(2)), path)
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

t.test('publint finds nothing', async (t) => {
  const { messages } = await publint({ pkgDir: root, pack: false, strict: true })
  t.same(messages, [])
})

t.test('the types are right for whoever imports ESM', async (t) => {
  // The package is ESM alone: neither old resolution, which knows no exports, nor `require` without a dynamic import is meant to find it.
  const attw = join(ROOT, 'node_modules/@arethetypeswrong/cli/dist/index.js')
  const args = [attw, tarball, '--profile', 'esm-only', '--no-color', '--no-emoji']
  const { code, stdout, stderr } = await startCommand(t, process.execPath, args).ended
  t.equal(code, 0, `${stdout}${stderr}`)
  for (const entry of ['runcast', 'runcast/client', 'runcast/protocol', 'runcast/worker']) t.match(stdout, `"${entry}"`)
})
