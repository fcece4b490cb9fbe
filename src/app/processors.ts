import { benchmarkProcessor } from '../../workers/benchmark/benchmark.js'
import { loadCorpus } from '../../workers/benchmark/local/corpus.js'
import { startLocalProvider } from '../../workers/benchmark/local/server.js'
import { Secrets } from '../../workers/benchmark/secrets.js'
import { targetsOf } from '../../workers/benchmark/target.js'
import type { Config } from '../config/config.js'
import type { ComputedKindName } from '../core/kinds.js'
import { loadKeys, loadProviders } from '../kinds/benchmark/load-providers.js'
import type { Processor } from '../worker/processor.js'
import { ThreadPool } from '../worker/threads/thread-pool.js'
import { startOwnProcessors } from './own-processors.js'
import { type SolverProcessor, solverProcessors } from './solver-processors.js'

/** The processor of each kind: the compiler asks for one when a kind is added to the table; those that are defined (`defineKind`) are there at run time. */
export type Processors = { readonly [K in ComputedKindName]: Processor<K> }

/** Processors, and what they have running beside them. */
export interface RunningProcessors {
  readonly processors: Processors
  /** Beside the kind's own. */
  readonly solvers: readonly SolverProcessor[]
  /** After the last job has ended. */
  close(): Promise<void>
}

/**
 * Makes the processors ready. Here is decided where each kind runs: a run computes, so it has threads of its own in which it can be ended by force; a
 * benchmark only waits for the network and obeys its signal, so it runs in this event loop. For benchmarks it reads the providers, takes their keys from
 * `env`, and starts the local provider. Throws `ProvidersError` for what is wrong with them, `SolversError` likewise; a worker that takes no jobs of theirs does
 * not look.
 */
export async function startProcessors(
  config: Pick<Config, 'WORKER_KINDS' | 'WORKER_SOLVERS' | 'PROVIDERS_FILE' | 'SOLVERS_FILE'>,
  env: Readonly<Record<string, string | undefined>>,
): Promise<RunningProcessors> {
  const solvers = solverProcessors(config, env)
  const own = startOwnProcessors()
  const solver = new ThreadPool<'run'>(new URL('../../workers/solver/solver-thread.js', import.meta.url))
  if (!config.WORKER_KINDS.includes('benchmark')) {
    const benchmark = benchmarkProcessor({ targets: new Map(), filler: '', secrets: new Secrets([]) })
    const close = async () => {
      await Promise.all([solver.close(), own.close()])
    }
    return { processors: { ...own.processors, run: solver.processor, benchmark }, solvers, close }
  }
  const providers = loadProviders(config.PROVIDERS_FILE)
  const keys = loadKeys(providers, config.PROVIDERS_FILE, env)
  const filler = loadCorpus()
  const local = await startLocalProvider(filler)
  const benchmark = benchmarkProcessor({
    targets: targetsOf(providers, keys, local),
    filler,
    secrets: new Secrets([local.key, ...keys.values()]),
  })
  const close = async () => {
    await Promise.all([solver.close(), local.close(), own.close()])
  }
  return { processors: { ...own.processors, run: solver.processor, benchmark }, solvers, close }
}
