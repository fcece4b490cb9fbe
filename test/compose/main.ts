import t from 'tap'
import { backup } from './backup.js'
import { importBases } from './base-images.js'
import { type Docker, findDocker } from './docker.js'
import { EngineStack } from './engine-stack.js'
import { hardening, secrecy } from './hardening.js'
import { Jobs } from './jobs.js'
import { startOwnEngine, whyNoEngine } from './own-engine.js'
import { ProcessStack } from './process-stack.js'
import { readme } from './readme.js'
import { say } from './shell.js'
import { quiet, story } from './story.js'

/**
 * `npm run test:compose`: what docker-compose.yml says is brought up, used and disturbed as an operator would. On the Docker engine that is here, else on one of its own (root on Debian), else, or
 * with RUNCAST_COMPOSE=processes, as processes from the same file. RUNCAST_COMPOSE=own takes an engine of its own in any case.
 */
const MODE = process.env.RUNCAST_COMPOSE ?? ''
const LONGEST_MS = 25 * 60_000

async function chooseEngine(): Promise<Docker | string> {
  if (MODE === 'processes') return 'RUNCAST_COMPOSE=processes asks for processes'
  const found = MODE === 'own' ? null : await findDocker()
  if (found) return found
  const reason = whyNoEngine()
  if (reason) return reason
  try {
    const own = await startOwnEngine()
    onEnd(() => own.close())
    await importBases(own)
    return own
  } catch (error) {
    return `no engine of its own: ${error instanceof Error ? error.message : error}`
  }
}

const ends: (() => Promise<void> | void)[] = []
let ending: Promise<void> | undefined

/** What is begun is ended in the opposite order, whatever happens. */
function onEnd(end: () => Promise<void> | void): void {
  ends.unshift(end)
}

function endAll(): Promise<void> {
  ending ??= (async () => {
    for (const end of ends) await Promise.resolve(end()).catch((error) => say(`could not clean up: ${error}`))
  })()
  return ending
}

async function onEngine(engine: Docker): Promise<EngineStack> {
  const stack = await EngineStack.clone(engine)
  onEnd(() => stack.close())
  await t.test('the documented commands build it, bring it up, submit a run, watch it and scale', (t) => readme(t, stack))
  await t.test('containers are closed, and nothing but the load balancer is published', (t) => hardening(t, stack))
  return stack
}

t.setTimeout(LONGEST_MS)
// Stays registered: the test runner ends the process at once where nobody listens.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void endAll().finally(() => process.exit(1)))
try {
  const engine = await chooseEngine()
  if (typeof engine === 'string')
    say(`NO DOCKER ENGINE: ${engine}. The services run as processes, from the commands and the environment of docker-compose.yml.`)
  else say(`on ${engine.about}`)
  const stack = typeof engine === 'string' ? await ProcessStack.up() : await onEngine(engine)
  if (stack instanceof ProcessStack) onEnd(() => stack.close())
  await t.test('a hub that nobody is connected to is stopped, and no request fails', (t) => quiet(t, stack))
  const jobs = await Jobs.begin(stack)
  onEnd(() => jobs.close())
  await story(t, stack, jobs)
  if (stack instanceof EngineStack) await t.test('a backup is made and restored, by the documented commands', (t) => backup(t, stack, jobs))
  if (stack instanceof EngineStack) await t.test('no secret is seen in passing', (t) => secrecy(t, stack, jobs.tokens))
} catch (error) {
  t.fail('the story could not go on', { error: String(error) })
  process.stderr.write(`${error instanceof Error ? error.stack : error}\n`)
} finally {
  await endAll()
}
