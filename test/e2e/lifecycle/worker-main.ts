import { runMain } from '../../../src/app/process.js'
import { startProcessors } from '../../../src/app/processors.js'
import { startWorkerProcess } from '../../../src/app/worker-process.js'
import { ThreadPool } from '../../../src/worker/threads/thread-pool.js'

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
