import { defineCommand } from '../command.js'

/** A worker, in this process, so that signals reach it. */
export const worker = defineCommand({
  about: 'Runs a worker. Needs REDIS_URL; WORKER_KINDS names the kinds of jobs that it computes.',
  operands: [],
  options: {},
  notes: ['Settings are environment variables: see docs/reference/settings.md. SIGTERM shuts it down gracefully.'],
  run: async () => {
    await import('../../../workers/main.js')
    return undefined
  },
})
