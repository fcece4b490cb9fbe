import { runMain } from '../../src/app/process.js'
import { startWorkerProcess } from '../../src/app/worker-process.js'
import { ThreadPool } from '../../src/worker/threads/thread-pool.js'

/** The main of a real worker process whose runs are the scripts of `scripted-thread.ts`. */
const pool = new ThreadPool<'run'>(new URL('./scripted-thread.js', import.meta.url))
const benchmark = () => Promise.reject(new Error('no benchmarks here'))
await runMain(() =>
  startWorkerProcess(process.env, async () => ({ processors: { run: pool.processor, benchmark }, solvers: [], close: () => pool.close() })),
)
