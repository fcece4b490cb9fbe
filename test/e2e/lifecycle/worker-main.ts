import { runMain } from '../../../src/process.js'
import { startProcessors } from '../../../workers/processors.js'
import { ThreadPool } from '../../../workers/threads/thread-pool.js'
import { startWorkerProcess } from '../../../workers/worker-process.js'

/** The main of a worker under chaos: that of the product, with runs among its own that are deaf. */
const pool = new ThreadPool<'run'>(new URL('./chaos-thread.js', import.meta.url))
await runMain(() =>
  startWorkerProcess(process.env, async (config, env) => {
    const { processors, solvers, close } = await startProcessors(config, env)
    const closeAll = async () => {
      await Promise.all([close(), pool.close()])
    }
    return { processors: { ...processors, run: pool.processor }, solvers, close: closeAll }
  }),
)
