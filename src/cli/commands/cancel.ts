import { defineCommand } from '../command.js'
import { EXIT } from '../exit-code.js'
import { callHub, HUB_OPTIONS, hubOf } from '../hub-access.js'

/** Asks for the end of a job of any kind. */
export const cancel = defineCommand({
  about: 'Asks for the end of a job of any kind, and prints its status now.',
  operands: ['id'],
  options: HUB_OPTIONS,
  run: async ({ id }, given) => {
    const hub = hubOf('cancel', given)
    const { status } = await callHub(hub, 'POST', `/api/processes/${encodeURIComponent(id)}/cancel`)
    process.stdout.write(`${status}\n`)
    return EXIT.ok
  },
})
