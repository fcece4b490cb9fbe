// timer.mjs
import { setTimeout as sleep } from 'node:timers/promises'
import { defineKind, implement } from 'runcast'

export const timer = defineKind({
  name: 'timer',
  dialect: 'process',
  input: { type: 'object', properties: { seconds: { type: 'integer', minimum: 1, maximum: 3600, default: 60 } } },
  attempts: 2,
  timeoutS: 4000,
})

export const timing = implement(timer, {
  run: async ({ seconds }, job) => {
    for (let current = 0; current < seconds; current += 1) {
      await job.progress({ current, total: seconds, detail: `${seconds - current} s left` })
      await sleep(1000, undefined, { signal: job.signal })
    }
    return { rang_at: new Date().toISOString() }
  },
})
