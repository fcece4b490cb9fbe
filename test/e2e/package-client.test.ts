import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { publint } from 'publint'
import t, { type Test } from 'tap'
import * as main from '../../src/client/index.js'
import { startChromium } from '../support/chromium.js'
import { startCommand } from '../support/command.js'
import { eventually } from '../support/eventually.js'
import { type Harness, HORN, startHarness } from '../support/harness.js'
import { startFastifyHost } from '../support/hosts.js'
import type { RunProcessor } from '../support/kinds.js'
import { emptyFolder, npm, pack, ROOT, typeFaults } from '../support/packed.js'

const MAX_INSTALLED_BYTES = 250_000
const MAX_GZIPPED_KB = 40

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

/** Measures, then waits for its cancel; another execution of the same job completes. */
function untilCancelled(): RunProcessor {
  let executions = 0
  return async (_input, job) => {
    executions += 1
    await job.metric('f', executions, 'Hz')
    if (executions === 1) await eventually(() => job.signal.aborted)
    job.signal.throwIfAborted()
    return { metrics_summary: { f: executions } }
  }
}

/** Whom a page asks, and with which token. It runs in the browser. */
interface Asked {
  readonly module: string
  readonly url: string
  readonly token?: string
  readonly input: object
}

/** A page, which finds the installed package below `/dist/`. */
async function openPage(browser: Browser, url: string, cookie?: string): Promise<Page> {
  const context = await browser.newContext()
  if (cookie !== undefined) await context.addCookies([{ name: 'session', value: cookie, url }])
  const page = await context.newPage()
  await page.route('**/dist/**', (route) => route.fulfill({ path: join(root, new URL(route.request().url()).pathname) }))
  await page.goto(url)
  return page
}

/** A whole life of a job: what the page has seen of it. */
function liveOnce(page: Page, asked: Omit<Asked, 'module' | 'input'>) {
  const given: Asked = { module: '/dist/client/index.js', input: HORN, ...asked }
  return page.evaluate(async ({ module, url, token, input }) => {
    const { createClient } = (await import(module)) as typeof main // the same modules
    const client = createClient({ url, ...(token !== undefined && { token }) })
    const job = await client.submit('run', input, { timeoutMs: 60_000 })
    const told: string[] = []
    for await (const { type } of job) {
      told.push(type)
      if (type === 'metric_update') await job.cancel()
    }
    const failure = await job.result().catch((error: main.JobFailed) => [error.name, error.code])
    const retried = await job.retry()
    const result = await job.result()
    const { status } = await job.status()
    const { jobs } = await client.list({ kind: 'run', status: 'final' })
    await client.close()
    return { told, failure, retried, result, status, listed: jobs.map(({ id, status }) => [id === job.id, status]) }
  }, given)
}

t.test('in Chromium', async (t) => {
  const browser = await startChromium(t)
  const expectLife = async (t: Test, h: Harness, life: ReturnType<typeof liveOnce>) => {
    const { told, ...seen } = await life
    t.same([told[0], told.at(-1)], ['status', 'cancelled'])
    t.ok(told.includes('metric_update'), `${told}`)
    const [failure, result] = [['JobFailed', 'cancelled'], { metrics_summary: { f: 2 } }]
    t.match(seen, { failure, retried: 'queued', result, status: 'completed', listed: [[true, 'completed']] })
    t.same(h.faults, [])
  }

  t.test('[CORS-1] a page of another origin submits, follows, cancels, retries and lists with a token', async (t) => {
    const h = await startHarness(t, { processor: untilCancelled() })
    const { http: url = '', hub } = h.nodes[0] ?? {}
    const other = await startFastifyHost(t, h, { hasHub: false })
    const page = await openPage(browser, `${other.origin}/own`)
    await expectLife(t, h, liveOnce(page, { url, token: h.token() }))
    await eventually(() => hub?.server.sessions.size === 0)
  })

  t.test('[HOST-2] a page of a host does the same by its cookie', async (t) => {
    const h = await startHarness(t, { processor: untilCancelled() })
    const host = await startFastifyHost(t, h)
    const page = await openPage(browser, `${host.origin}/own`, 'of-alice')
    await expectLife(t, h, liveOnce(page, { url: '/runs' }))
  })
})
