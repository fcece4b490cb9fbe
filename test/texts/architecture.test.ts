import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import ts from 'typescript'

const ROOT = new URL('../../../', import.meta.url)
const sources = new Map(
  ['src', 'workers'].flatMap((folder) =>
    readdirSync(new URL(folder, ROOT), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => [posix.join(folder, name), readFileSync(new URL(`${folder}/${name}`, ROOT), 'utf8')] as const),
  ),
)

/** The sources that satisfy a condition. */
function filesWith(condition: (file: string, text: string) => boolean): string[] {
  return [...sources].filter(([file, text]) => condition(file, text)).map(([file]) => file)
}

t.test('imports point downwards, form no cycle, and keep each package behind its port', async (t) => {
  const cruiser = 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs'
  const args = [cruiser, 'src', 'workers', '--config', '.dependency-cruiser.mjs']
  const cruise = promisify(execFile)(process.execPath, args, { cwd: fileURLToPath(ROOT) })
  const { stdout } = await cruise.catch((failed: { stdout: string }) => failed)
  t.match(stdout, /no dependency violations found/, stdout)
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
  t.ok(loaded.has('src/client/watch-processes.js') && loaded.size < 40, [...loaded].join(' '))
})

t.test('the environment is read by mains, command line and embedded Redis alone', async (t) => {
  const readers = filesWith((_file, text) => /process\s*\.\s*env|env\s*}\s*=\s*process/.test(text))
  t.ok(readers.includes('src/main.ts'))
  t.same(
    readers.filter((file) => !/(^|\/)main\.ts$|^src\/(cli|embedded)\//.test(file)),
    [],
  )
})

t.test('sources have named exports only', async (t) => {
  t.same(
    filesWith((_file, text) => /^export default/m.test(text)),
    [],
  )
})

/** Source files with comments, and the folders that hold them. Outputs and packages are left out. */
const COMMENTED = /^(?!.*(node_modules|dist|cache)\/).*\.(ts|mjs|js|lua)$/
const FOLDERS = ['src', 'workers', 'packages', 'scripts', 'bench', 'deploy', 'docs/.vitepress', 'examples']
const MAX_COMMENT_COLUMNS = 120

t.test('a comment, also one after code, has at most 120 columns', async (t) => {
  const files = FOLDERS.flatMap((folder) =>
    readdirSync(new URL(folder, ROOT), { recursive: true, encoding: 'utf8' }).map((name) => posix.join(folder, name)),
  ).filter((file) => COMMENTED.test(file))
  for (const file of ['src/storage/redis/lua/publish.lua', 'packages/client/build.mjs', 'scripts/test.mjs', 'workers/main.ts'])
    t.ok(files.includes(file), file)
  const long = files.flatMap((file) => {
    const lines = readFileSync(new URL(file, ROOT), 'utf8').split('\n')
    return lines.flatMap((line, i) => {
      const isComment = /^\s*(\/\/|\/?\*|--)|\s\/\/ /.test(line)
      return isComment && line.length > MAX_COMMENT_COLUMNS ? [`${file}:${i + 1}`] : []
    })
  })
  t.same(long, [])
})

/** The corridor from worker to browser. Hop 4 is publish.lua. */
const HOPS = {
  1: 'src/worker/processor.ts',
  2: 'src/worker/job-context.ts',
  3: 'src/storage/redis/broker.ts',
  5: 'src/storage/redis/subscriber.ts',
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
