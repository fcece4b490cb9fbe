import Type from 'typebox'
import { defineKind } from '../../src/index.js'

const closed = { additionalProperties: false }
const Nothing = Type.Object({}, closed)

/** Adds up squares and reports each, in the event loop of the worker. */
export const squares = defineKind({
  name: 'squares',
  dialect: 'process',
  input: Type.Object({ to: Type.Integer({ minimum: 1, maximum: 1000, default: 3 }), label: Type.Optional(Type.String()) }, closed),
  processor: async ({ to }, job) => {
    let sum = 0
    for (let n = 1; n <= to; n += 1) {
      sum += n * n
      job.result({ n, square: n * n })
      job.progress({ current: n, total: to, detail: `${n} of ${to}` })
    }
    await job.flush()
    return { sum }
  },
})

/** Returns a value that is not an object, as untyped JavaScript can. */
export const shapeless = defineKind({
  name: 'shapeless',
  dialect: 'process',
  input: Nothing,
  processor: async () => [1, 2] as never,
})

/** Waits for its abort signal. Two at a time per worker. */
export const vigil = defineKind({
  name: 'vigil',
  dialect: 'process',
  input: Nothing,
  attempts: 1,
  concurrency: 2,
  processor: (_input, job) => untilStopped(job.signal),
})

/** Waits for its abort signal, with a time limit of a second, one at a time. */
export const brief = defineKind({
  name: 'brief',
  dialect: 'process',
  input: Nothing,
  timeoutS: 1,
  processor: (_input, job) => untilStopped(job.signal),
})

/** Executes its input in a thread; see `own-kinds-thread.ts`. */
export const stubborn = defineKind({
  name: 'stubborn',
  dialect: 'run',
  path: 'stubborns',
  idField: 'stubborn_id',
  phases: ['working'],
  attempts: 2,
  input: Type.Object({ script: Type.Enum(['quick', 'loop', 'exit', 'refuse']) }, closed),
  thread: new URL('./own-kinds-thread.js', import.meta.url),
})

function untilStopped(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))
}
