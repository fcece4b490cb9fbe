import { runMain } from '../../src/app/process.js'
import { startWorkerProcess } from '../../src/app/worker-process.js'
import { runKind } from '../../src/kinds/run/kind.js'
import { implement } from '../../src/worker/implement.js'

/** Entry point of a worker process whose runs are the scripts of `scripted-thread.ts`. */
const runs = implement(runKind, { thread: new URL('./scripted-thread.js', import.meta.url) })
await runMain(() => startWorkerProcess(process.env, [runs]))
