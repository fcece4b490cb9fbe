import { defineCommand } from '../command.js'

/** A worker, in this very process, so that signals reach it. */
export const worker = defineCommand({
  about: 'A worker: needs REDIS_URL; WORKER_KINDS names the kinds of jobs that it takes.',
  operands: [],
  options: {},
  notes: ['Settings are environment variables: see the README. SIGTERM ends it in order.'],
  run: async () => {
    await import('../../../workers/main.js')
    return undefined
  },
})
