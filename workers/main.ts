import { runMain } from '../src/process.js'
import { startProcessors } from './processors.js'
import { startWorkerProcess } from './worker-process.js'

await runMain(() => startWorkerProcess(process.env, startProcessors))
