import { runMain } from '../../../src/app/process.js'
import { startWorkerProcess } from '../../../src/app/worker-process.js'
import { runKind } from '../../../src/kinds/run/kind.js'
import { implement } from '../../../src/worker/implement.js'
import { BUILT_IN_WORK } from '../../../workers/built-in-work.js'

/** The main of a worker under chaos: that of the product, with runs among its own that are deaf. */
const runs = implement(runKind, { thread: new URL('./chaos-thread.js', import.meta.url) })
await runMain(() => startWorkerProcess(process.env, [...BUILT_IN_WORK, runs]))
