import { loadKinds } from '../../app/load-kinds.js'
import { type Command, defineCommand } from '../command.js'
import { EXIT } from '../exit-code.js'
import { followJob } from '../follow.js'
import { callHub, HUB_OPTIONS, hubOf } from '../hub-access.js'
import { jsonLine } from '../plain-text.js'
import { WATCH_EXITS } from './watch.js'

const JSON_OPTION = { json: { about: 'the answer as a line of JSON' } } as const

export const cancel = action('cancel', 'Cancels a job of any kind and prints its current status.')

export const pause = action('pause', 'Pauses a job in steps, such as an optimization: it starts no more child jobs.')

export const resume = action('resume', 'Resumes a paused job.')

/** Runs a job again. */
export const retry = defineCommand({
  about: 'Runs a failed or cancelled job of any kind again and prints its status.',
  operands: ['id'],
  options: { watch: { about: 'shows the job live until it ends' }, ...JSON_OPTION, ...HUB_OPTIONS },
  notes: [`With --watch: ${WATCH_EXITS}`],
  run: async ({ id }, given) => {
    const hub = hubOf('retry', given)
    const { kinds } = await loadKinds(process.env)
    printStatus(await callHub(hub, 'POST', pathOf(id, 'retry')), given.json)
    return given.watch ? followJob(hub, id, given.json === true, kinds) : EXIT.ok
  },
})

/** A command that asks the hub to change the course of a job. */
function action(name: string, about: string): Command {
  return defineCommand({
    about,
    operands: ['id'],
    options: { ...JSON_OPTION, ...HUB_OPTIONS },
    run: async ({ id }, given) => {
      printStatus(await callHub(hubOf(name, given), 'POST', pathOf(id, name)), given.json)
      return EXIT.ok
    },
  })
}

function pathOf(id: string, action: string): string {
  return `/api/jobs/${encodeURIComponent(id)}/${action}`
}

function printStatus(answer: Record<string, unknown>, isJson: true | undefined): void {
  process.stdout.write(`${isJson ? jsonLine(answer) : answer.status}\n`)
}
