import { runMain } from '../src/app/process.js'
import { startWorkerProcess } from '../src/app/worker-process.js'
import { BUILT_IN_WORK } from './built-in-work.js'

await runMain(() => startWorkerProcess(process.env, BUILT_IN_WORK))
