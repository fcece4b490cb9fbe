import { readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { loadKinds } from '../../app/load-kinds.js'
import { Kinds } from '../../core/kind.js'
import { BUILT_IN_KINDS } from '../../kinds/index.js'
import { countOf, defineCommand, usageError } from '../command.js'
import { CommandError, EXIT } from '../exit-code.js'
import { followJob } from '../follow.js'
import { callHub, HUB_OPTIONS, HubRefusal, hubOf } from '../hub-access.js'
import { plainLine } from '../plain-text.js'
import { requestFor } from '../submission.js'
import { WATCH_EXITS } from './watch.js'

const SOLVERS = new Kinds(BUILT_IN_KINDS).solved
  .map(({ name, solvers: [first] }) => `of a ${name}: what computes it; without it ${first}`)
  .join('; ')

/** Submits a job of any kind and prints its id. */
export const submit = defineCommand({
  about: `Submits a job (${BUILT_IN_KINDS.map(({ name }) => name).join(', ')} or a kind of your own) and prints its id.`,
  operands: ['kind'],
  options: {
    input: { value: '<file>', about: 'file with the input as JSON; - for stdin; without it {}' },
    id: { value: '<id>', about: 'id of the job; without it the hub generates one' },
    solver: { value: '<name>', about: SOLVERS },
    timeout: { value: '<seconds>', about: 'timeout of a round; without it that of the kind' },
    watch: { about: 'shows the job live until it ends' },
    json: { about: 'prints the answer, and with --watch each message, as a line of JSON' },
    ...HUB_OPTIONS,
  },
  notes: [
    'Submitting the same id and input again creates no job. Set KINDS_MODULES as for the hubs to submit your own kinds in the run dialect.',
    `With --watch: ${WATCH_EXITS}`,
  ],
  run: async ({ kind }, given) => {
    const hub = hubOf('submit', given)
    const timeoutS = given.timeout === undefined ? undefined : countOf('submit', 'timeout', given.timeout, 1)
    const { id, solver } = given
    const { kinds } = await loadKinds(process.env)
    const input = await readInput(given.input)
    const submission = {
      kind,
      input,
      ...(id !== undefined && { id }),
      ...(solver !== undefined && { solver }),
      ...(timeoutS !== undefined && { timeoutS }),
    }
    const { path, body } = requestFor(submission, kinds)
    const accepted = await callHub(hub, 'POST', path, body).catch((error: unknown) => {
      throw unknownKind(kind, error, kinds) ?? error
    })
    const idNow = idOf(accepted)
    process.stdout.write(`${given.json ? JSON.stringify(accepted) : idNow}\n`)
    return given.watch ? followJob(hub, idNow, given.json === true, kinds) : EXIT.ok
  },
})

/** The error to show if the hub does not know the kind: it lists all known kinds. Null for any other error. */
function unknownKind(kind: string, error: unknown, kinds: Kinds): CommandError | null {
  if (kinds.find(kind) || !(error instanceof HubRefusal)) return null
  const fault = error.faults.find(({ path }) => path === '/process_type')
  // A hub without custom kinds has no POST route at this path, but may have other methods.
  if (!fault && error.code !== 'no_route' && error.code !== 'method_not_allowed') return null
  const own = fault?.expected.replace(/^one of /, '').split(', ') ?? []
  const known = [...new Set([...kinds.names, ...own])]
  return new CommandError(`runcast: no kind "${plainLine(kind)}"; there are ${known.join(', ')}`, EXIT.unknown)
}

/** The id of the job: the last part of its URL, for any kind. */
function idOf({ links }: Record<string, unknown>): string {
  const { self } = links as { self: string } // as every hub answers a submit
  return decodeURIComponent(self.slice(self.lastIndexOf('/') + 1))
}

async function readInput(file: string | undefined): Promise<Record<string, unknown>> {
  if (file === undefined) return {}
  const content = await contentOf(file)
  try {
    const input: unknown = JSON.parse(content)
    // A JSON object.
    if (typeof input === 'object' && input !== null && !Array.isArray(input)) return input as Record<string, unknown>
  } catch {
    // Reported below, like JSON of another type.
  }
  throw usageError('submit', `--input: expected the JSON of an object in ${file === '-' ? 'stdin' : file}`)
}

async function contentOf(file: string): Promise<string> {
  if (file === '-') return text(process.stdin)
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? error.code : error
    throw new CommandError(`runcast submit: --input: ${file} cannot be read: ${why}`, EXIT.usage)
  }
}
