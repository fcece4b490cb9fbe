import { setTimeout as sleep } from 'node:timers/promises'
import Type from 'typebox'
import { defineKind } from '../../src/index.js'

/** Reports a numbered result at a fixed rate, each with the moment at which it was reported (ms since the epoch; all processes share the machine's clock). */
export const beacon = defineKind({
  name: 'beacon',
  dialect: 'process',
  input: Type.Object(
    { results: Type.Integer({ minimum: 1, maximum: 100_000 }), every_ms: Type.Integer({ minimum: 10, maximum: 60_000 }) },
    { additionalProperties: false },
  ),
  concurrency: 32,
  timeoutS: 1800,
  processor: async ({ results, every_ms: everyMs }, job) => {
    for (let n = 1; n <= results; n += 1) {
      job.result({ n, at: performance.timeOrigin + performance.now() })
      job.progress({ current: n, total: results, detail: `${n} of ${results}` })
      await sleep(everyMs, undefined, { signal: job.signal })
    }
    return { results }
  },
})
