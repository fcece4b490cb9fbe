import { defineCommand } from '../command.js'
import { EXIT } from '../exit-code.js'
import { callHub, HUB_OPTIONS, hubOf } from '../hub-access.js'

/** Cancels a job of any kind. */
export const cancel = defineCommand({
  about: 'Cancels a job of any kind and prints its current status.',
  operands: ['id'],
  options: HUB_OPTIONS,
  run: async ({ id }, given) => {
    const hub = hubOf('cancel', given)
    const { status } = await callHub(hub, 'POST', `/api/processes/${encodeURIComponent(id)}/cancel`)
    process.stdout.write(`${status}\n`)
    return EXIT.ok
  },
})
