import { defineCommand } from '../command.js'

/** A hub, in this process, so that signals reach it. */
export const hub = defineCommand({
  about: 'Runs a hub. Needs REDIS_URL and a key for tokens (JWT_SECRET).',
  operands: [],
  options: {},
  notes: ['Settings are environment variables: see docs/reference/settings.md. SIGTERM shuts it down gracefully.'],
  run: async () => {
    await import('../../main.js')
    return undefined
  },
})
