import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import t, { type Test } from 'tap'
import { startChromium } from '../support/chromium.js'
import { type Command, startCommand } from '../support/command.js'
import { type CodeBlock, codeBlocks, documentText } from '../support/documents.js'
import { eventually } from '../support/eventually.js'
import { emptyFolder, ROOT } from '../support/packed.js'
import { testPort } from '../support/ports.js'
import { NO_PYTHON_TOOLS } from '../support/python-tools.js'
import { startTestRedis } from '../support/redis.js'

/*
 * Runs each code block of docs/guide, page by page, as a reader does: in a project with the packed package, on a Redis.
 * Only the ports differ. Files are saved under the name in their first line. A command that keeps running gets a
 * terminal of its own.
 */

// Packages come from the registry.
t.setTimeout(600_000)

/** In this order: later pages use files of earlier ones. */
const PAGES = [
  'getting-started',
  'concepts',
  'define-a-kind',
  'watch-from-node',
  'curl',
  'authentication',
  'watch-from-a-browser',
  'other-languages',
  'embedding',
] as const

/** Commands that stay until Ctrl-C: what they occupy, and what they print once they are ready. */
const STAYING: readonly { readonly command: RegExp; readonly place: string; readonly ready: RegExp | null }[] = [
  { command: /^npm start$/, place: 'hub', ready: /Ctrl-C/ },
  { command: /npx --no-install runcast start$/, place: 'hub', ready: /Ctrl-C/ },
  { command: /^node hub\.mjs$/, place: 'hub', ready: /listens at http/ },
  { command: /^node worker\.mjs$/, place: 'worker', ready: /takes jobs/ },
  { command: /^node (page-server|fastify-server|express-server)\.mjs$/, place: 'page', ready: null },
  { command: /python3 worker\.py$/, place: 'worker', ready: null },
]

/** What other commands print, by words of their block. */
const PRINTED: Readonly<Record<string, RegExp>> = {
  'npm run demo': /natural_frequency_hz[\s\S]*Completed in/,
  'npm init -y': /added \d+ packages/,
  'export REDIS_URL': /^$/,
  'node submit.mjs': /^subscribed[\s\S]*process_progress[\s\S]*process_completed[\s\S]*\{ counted: 3 \}\n$/,
  'submit countdown': /Completed in[\s\S]*"counted": ?2/,
  'submit timer': /rang_at[\s\S]*primes +78,?498[\s\S]*half_hz/,
  'api/v2/primes': /^\{"primes_id":"million","status":"queued"/,
  'node program.mjs': /^status[\s\S]*\ncompleted 100\n1995\d\.\d+\n[\s\S]*\ncancelled\n$/,
  'node all-jobs.mjs': /run completed\n[\s\S]*solver_error Solver failed/,
  'node list.mjs': /process_list[\s\S]*process_completed[\s\S]*\d+ online\n$/,
  'node watch.mjs': /^watched-1\n[\s\S]*completed completed 100\ncompleted\n1000 closed by this side\n$/,
  'OTHER=': /^$/,
  '"run_id": "horn-1"': /"status":"queued"[\s\S]*"run_id":"horn-1"[\s\S]*"next_after":2[\s\S]*"status":"cancell(ing|ed)"\}$/,
  // Before the next one, whose words its block has, too.
  'Last-Event-ID': /"recovered":true[\s\S]*"type":"completed"/,
  '/runs/horn-2/events': /"type":"status"[\s\S]*"type":"completed"/,
  'steel-d2': /"type":"completed"[\s\S]*event: close/,
  '/processes/horn-2/': /"type":"subscribed"[\s\S]*"type":"process_completed"/,
  '/readyz': /"status":"ready"[\s\S]*runcast_sessions/,
  'token alice\nnpx': /^[\w-]+\.[\w-]+\.[\w-]+\n[\w-]+\.[\w-]+\.[\w-]+\n$/,
  '/revocations': /^\{"jobs":[\s\S]*"jti":"laptop-1"[\s\S]*"error":"unauthenticated"/,
  'python3 watch.py': /^status[\s\S]*completed/,
  'npm install fastify': /added \d+ packages/,
  'session=of-alice': /^\{"jobs":\[/,
  // Last: most blocks that assign a token do more.
  'export RUNCAST_TOKEN=': /^$/,
  'openapi_python_client generate': /Generating .*runcast-client/,
  'python3 typed.py': /^(queued|running|completed)\n\['/,
}

/** Words of blocks that need Python 3.10 with pip. */
const OF_PYTHON_TOOLS = /openapi_python_client|python3 typed\.py/

/** The words of `PRINTED` that a block had. */
const used = new Set<string>()

/** A name in the first or second line of a block: `// name`, `# name`, `<!-- name -->`. */
const NAME = /^(?:<!doctype html>\n)?(?:\/\/|#|<!--) ([\w-]+\.\w+)/

/** For what lasts longer than a page. */
const root: Test = t
const redis = await startTestRedis(t)
const port = await testPort(2)
const pagePort = await testPort()
const temporary = emptyFolder(t)
const state = { cwd: ROOT, exports: '' }
const environment = {
  npm_config_ignore_scripts: 'true', // `prepack` would compile while other tests run
  npm_config_prefer_offline: 'true',
  npm_config_audit: 'false',
  npm_config_fund: 'false',
  TMPDIR: temporary,
  DATA_DIR: join(temporary, 'data'),
  PORT: `${port}`,
  REDIS_URL: '',
  JWT_SECRET: '',
  LOG_LEVEL: 'warn',
  RUNCAST_URL: `http://127.0.0.1:${port}`,
}

/** Other ports than those of the guide, which another program of this machine may have. */
function withOwnPorts(code: string): string {
  const ports = { 8501: port, 8502: port + 1, 6379: redis.server.port, 3000: pagePort }
  return code.replaceAll(/\b(8501|8502|6379|3000)\b/g, (given) => `${ports[given as unknown as keyof typeof ports]}`)
}

/** Runs lines in a shell as the terminal of the guide has it by now. */
function shell(t: Test, lines: string, more: Readonly<Record<string, string>> = {}): Command {
  const script = `set -ea\n${state.exports}\ncd ${state.cwd}\n${lines}`
  return startCommand(t, 'sh', ['-c', script], { env: { ...environment, ...more }, detached: true })
}

/** Ends a command as Ctrl-C does. */
async function interrupt({ child, ended }: Command): Promise<void> {
  try {
    process.kill(-(child.pid ?? 0), 'SIGINT')
  } catch {
    // It has ended.
  }
  await ended
}

/** Runs a block that ends by itself; what it assigns and where it goes holds from then on. */
async function run(t: Test, code: string): Promise<void> {
  const [words, expected] = Object.entries(PRINTED).find(([words]) => code.includes(words)) ?? []
  if (words !== undefined) used.add(words)
  const note = join(temporary, 'terminal')
  const { code: exit, stdout, stderr } = await shell(t, `${withOwnPorts(code)}\n{ export -p; echo "#$PWD"; } > ${note}`).ended
  const title = code.split('\n', 1).join()
  t.equal(exit, 0, `${title}: ${stdout.slice(-1000)}${stderr.slice(-1000)}`)
  if (expected) t.match(stdout, expected, title)
  else t.fail(`no expectation for: ${code}`)
  const text = readFileSync(note, 'utf8')
  const at = text.lastIndexOf('#')
  state.exports = text.slice(0, at).replaceAll(/^export (PWD|OLDPWD|SHLVL|_).*\n/gm, '')
  state.cwd = text.slice(at + 1).trim()
}

/** The commands that keep running, by what they occupy. The next page uses those that it would start again. */
const staying = new Map<string, { readonly code: string; readonly command: Command }>()

/** Ends what occupies a place. */
async function vacate(place: string): Promise<void> {
  const before = staying.get(place)
  staying.delete(place)
  if (before) await interrupt(before.command)
}

/** Runs the blocks of a page, one after the other. */
async function follow(t: Test, blocks: readonly CodeBlock[]): Promise<void> {
  for (const { language, code } of blocks) {
    const [, name] = NAME.exec(code) ?? []
    const stays = STAYING.find(({ command }) => command.test(code.trim()))
    if (name !== undefined) writeFileSync(join(state.cwd, name), withOwnPorts(code))
    else if (language === 'sh' && stays) {
      if (staying.get(stays.place)?.code === code) continue
      await vacate(stays.place)
      const command = shell(root, `exec env ${withOwnPorts(code)}`)
      staying.set(stays.place, { code, command })
      if (stays.ready) await command.printed(stays.ready)
      else if (stays.place === 'page') await eventually(() => fetch(`http://127.0.0.1:${pagePort}/`).then(() => true))
    } else if (language === 'sh' && NO_PYTHON_TOOLS && OF_PYTHON_TOOLS.test(code)) t.comment(`${NO_PYTHON_TOOLS}: ${code}`)
    else if (language === 'sh') await run(t, code)
    else t.ok(['json', 'text', 'mermaid'].includes(language), `a block of the language ${language} has a name in its first line`)
  }
}

for (const page of PAGES) {
  t.test(page, async (t) => {
    await follow(t, codeBlocks(documentText(`docs/guide/${page}.md`)))
    if (page === 'watch-from-a-browser') await browse(t)
    // A worker of one page would compute the jobs of the next.
    for (const place of ['worker', 'page']) await vacate(place)
  })
}

t.test('everything that stays ends by Ctrl-C', async () => {
  for (const place of [...staying.keys()]) await vacate(place)
})

/** Opens the pages of the guide in Chromium. */
async function browse(t: Test): Promise<void> {
  const browser = await startChromium(t)
  const page = await browser.newPage()
  const faults: string[] = []
  page.on('pageerror', (error) => faults.push(error.message))
  const open = (path: string) => page.goto(`http://127.0.0.1:${pagePort}/${path}`)
  await open('page.html')
  await page.locator('#connection', { hasText: 'online' }).waitFor()
  const rows = async () => (await page.locator('#jobs li span').allTextContents()).map((row) => row.split(' '))
  const before = await rows()
  await page.locator('#start').click()
  const [id] = await eventually(async () =>
    (await rows()).find(([id, status]) => status === 'completed' && before.every(([other]) => other !== id)),
  )
  await page.locator(`a[href$="#${id}"]`).click()
  await page.locator('#metrics', { hasText: /natural_frequency_hz 1995\d\.\d+ Hz/ }).waitFor()
  await open(`plain.html#${id}`)
  await page.locator('#log', { hasText: /^1995\d\.\d+ Hz$/m }).waitFor()
  await open(`stream.html#${id}`)
  await page.locator('#log', { hasText: '"type":"completed"' }).waitFor()
  t.same(faults, [])
}

t.test('each page of the guide is run here', async (t) => {
  const pages = readdirSync(join(ROOT, 'docs/guide')).map((file) => basename(file, '.md'))
  t.same(pages.toSorted(), [...PAGES].toSorted())
  t.same(
    Object.keys(PRINTED).filter((words) => !used.has(words) && !(NO_PYTHON_TOOLS && OF_PYTHON_TOOLS.test(words))),
    [],
    'each expectation is used',
  )
})
