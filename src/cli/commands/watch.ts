import { loadKinds } from '../../app/load-kinds.js'
import { defineCommand } from '../command.js'
import { followJob } from '../follow.js'
import { HUB_OPTIONS, hubOf } from '../hub-access.js'

/** Exit codes of a watch, for the help. */
export const WATCH_EXITS =
  'Exit code: 0 completed, 1 failed, 2 wrong command line, 3 cancelled, 4 unknown (the hub returned an error or cannot be reached), 130 Ctrl-C, 143 SIGTERM (the job continues).'

/** Watches a job of any kind. */
export const watch = defineCommand({
  about: 'Shows a job of any kind live until it ends. The exit code reports the outcome.',
  operands: ['id'],
  options: { json: { about: 'each message as a line of JSON' }, ...HUB_OPTIONS },
  notes: [WATCH_EXITS],
  run: async ({ id }, given) => {
    const hub = hubOf('watch', given)
    const { kinds } = await loadKinds(process.env)
    return followJob(hub, id, given.json === true, kinds)
  },
})
