import { loadKinds } from '../../app/load-kinds.js'
import type { HubAccess } from '../../client/hub-access.js'
import { type Command, defineCommand } from '../command.js'
import { EXIT } from '../exit-code.js'
import { followJob } from '../follow.js'
import { callHub, HUB_OPTIONS, hubOf } from '../hub-access.js'
import { jsonLine } from '../plain-text.js'
import { WATCH_EXITS } from './watch.js'

const JSON_OPTION = { json: { about: 'its id and status as a line of JSON' } } as const

/** At these paths hubs of every version cancel and retry jobs of every kind. */
const PROCESSES = '/api/processes'
/** Only this resource has jobs in steps. */
const JOBS = '/api/jobs'

export const cancel = action('cancel', PROCESSES, 'Cancels a job of any kind and prints its current status.')

export const pause = action('pause', JOBS, 'Pauses a job in steps, such as an optimization: it starts no more child jobs.')

export const resume = action('resume', JOBS, 'Resumes a paused job.')

/** Runs a job again. */
export const retry = defineCommand({
  about: 'Runs a failed or cancelled job of any kind again and prints its status.',
  operands: ['id'],
  options: { watch: { about: 'shows the job live until it ends' }, ...JSON_OPTION, ...HUB_OPTIONS },
  notes: [`With --watch: ${WATCH_EXITS}`],
  run: async ({ id }, given) => {
    const hub = hubOf('retry', given)
    const { kinds } = await loadKinds(process.env)
    await act(hub, PROCESSES, id, 'retry', given.json)
    return given.watch ? followJob(hub, id, given.json === true, kinds) : EXIT.ok
  },
})

/** A command that asks the hub to change the course of a job. */
function action(name: string, base: string, about: string): Command {
  return defineCommand({
    about,
    operands: ['id'],
    options: { ...JSON_OPTION, ...HUB_OPTIONS },
    run: async ({ id }, given) => {
      await act(hubOf(name, given), base, id, name, given.json)
      return EXIT.ok
    },
  })
}

async function act(hub: HubAccess, base: string, id: string, action: string, isJson: true | undefined): Promise<void> {
  const { status } = await callHub(hub, 'POST', `${base}/${encodeURIComponent(id)}/${action}`)
  process.stdout.write(`${isJson ? jsonLine({ id, status }) : status}\n`)
}
