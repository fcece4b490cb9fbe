import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { publint } from 'publint'
import t from 'tap'
import * as main from '../../src/client/index.js'
import { startCommand } from '../support/command.js'
import { emptyFolder, npm, pack, ROOT, typeFaults } from '../support/packed.js'

const MAX_INSTALLED_BYTES = 250_000
const MAX_GZIPPED_KB = 30

const source = join(ROOT, 'packages/client')
const built = await startCommand(t, process.execPath, [join(source, 'build.mjs')]).ended
const tarball = await pack(t, source)
const folder = emptyFolder(t)
await npm(t, ['init', '-y'], folder)
await npm(t, ['install', '--offline', '--no-audit', '--no-fund', tarball], folder)
const root = join(folder, 'node_modules/@runcast/client')
const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) => statSync(join(root, file)).isFile())
const read = (file: string) => readFileSync(join(root, file), 'utf8')
const manifest = JSON.parse(read('package.json'))

t.test('@runcast/client installs kilobytes: the client, its types, README and license, and no other package', async (t) => {
  const [, gzippedKb = ''] = /^@runcast\/client: \d+ modules, [\d.]+ kB, ([\d.]+) kB gzipped$/m.exec(built.stdout) ?? []
  t.ok(Number(gzippedKb) > 0 && Number(gzippedKb) <= MAX_GZIPPED_KB, `${built.stdout}${built.stderr}`)
  t.same(
    readdirSync(join(folder, 'node_modules')).filter((name) => !name.startsWith('.')),
    ['@runcast'],
  )
  const kinds = /^(package\.json|README\.md|LICENSE|dist\/.*(\.js|\.d\.ts))$/
  t.same(
    files.filter((file) => !kinds.test(file)),
    [],
  )
  const bytes = files.reduce((sum, file) => sum + statSync(join(root, file)).size, 0)
  t.comment(`${bytes} bytes installed, ${gzippedKb} kB of modules gzipped`)
  t.ok(bytes < MAX_INSTALLED_BYTES, `${bytes} bytes installed`)
  const { version, license } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  t.match(manifest, { version, license, sideEffects: false })
  t.equal(read('LICENSE'), readFileSync(join(ROOT, 'LICENSE'), 'utf8'))
})

t.test('its modules are those of runcast/client, and export the same', async (t) => {
  const modules = files.filter((file) => file.endsWith('.js'))
  t.ok(modules.length > 5)
  const code = (text: string) => text.replace(/^\/\/# sourceMappingURL=.*$/gm, '').trimEnd()
  for (const file of modules) t.equal(code(read(file)), code(readFileSync(join(ROOT, file.replace(/^dist/, 'build/src')), 'utf8')), file)
  const print = "import('@runcast/client').then((client) => console.log(JSON.stringify(Object.keys(client))))"
  const { stdout, stderr } = await startCommand(t, process.execPath, ['--eval', print], { cwd: folder }).ended
  t.same(JSON.parse(stdout || '[]'), Object.keys(main), stderr)
})

t.test('publint and attw find nothing', async (t) => {
  t.same((await publint({ pkgDir: root, pack: false, strict: true })).messages, [])
  // The package is ESM alone, which `require` loads from Node 20.19 on.
  const attw = join(ROOT, 'node_modules/@arethetypeswrong/cli/dist/index.js')
  const args = [attw, tarball, '--profile', 'strict', '--ignore-rules', 'cjs-resolves-to-esm', '--no-color', '--no-emoji']
  const { code, stdout, stderr } = await startCommand(t, process.execPath, args).ended
  t.equal(code, 0, `${stdout}${stderr}`)
  t.match(stdout, '"@runcast/client"')
})

/** Every type of the package, and of the main one, is assigned to the other. */
const PAGE = `
import * as client from '@runcast/client'
import type * as main from ${JSON.stringify(join(ROOT, 'build/src/client/index.js'))}

type Both<A, B> = [A] extends [B] ? ([B] extends [A] ? true : never) : never
export const same: {
  view: Both<client.JobView, main.JobView>
  snapshot: Both<client.JobSnapshot, main.JobSnapshot>
  message: Both<client.LiveMessage, main.LiveMessage>
  final: Both<client.FinalMessage, main.FinalMessage>
  process: Both<client.Process, main.Process>
  processes: Both<client.ProcessesMessage, main.ProcessesMessage>
} = { view: true, snapshot: true, message: true, final: true, process: true, processes: true }

const { watchJob } = client
watchJob({ url: 'ws://hub', token: () => '', WebSocket, onMessage: (message, { percent }) => {
  if (message.type === 'progress') document.title = \`\${message.percent.toFixed()} of \${percent?.toFixed()} %\`
  // @ts-expect-error: no such field
  message.nonsense
} })
`

t.test('its types are those of runcast/client, for a page without the types of Node or of any other package', async (t) => {
  const page = { types: [], lib: ['lib.es2023.d.ts', 'lib.dom.d.ts'] }
  t.same(typeFaults(folder, 'page.mts', PAGE, page), [])
})
