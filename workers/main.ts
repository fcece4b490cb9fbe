import { runMain } from '../src/app/process.js'
import { startProcessors } from '../src/app/processors.js'
import { startWorkerProcess } from '../src/app/worker-process.js'

await runMain(() => startWorkerProcess(process.env, startProcessors))
