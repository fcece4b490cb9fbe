import { defineCommand } from '../command.js'

/** A hub, in this very process, so that signals reach it. */
export const hub = defineCommand({
  about: 'A hub: needs REDIS_URL and a key of the tokens (JWT_SECRET).',
  operands: [],
  options: {},
  notes: ['Settings are environment variables: see the README. SIGTERM ends it in order.'],
  run: async () => {
    await import('../../main.js')
    return undefined
  },
})
