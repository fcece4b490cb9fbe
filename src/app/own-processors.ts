import type { ComputedKindName } from '../core/kinds.js'
import type { Processor } from '../worker/processor.js'
import { ThreadPool } from '../worker/threads/thread-pool.js'
import { definedWorks } from './define-kind.js'

/** Processors of the kinds that were defined (`defineKind`), by name; a thread starts with its first job. */
export interface OwnProcessors {
  readonly processors: Readonly<Record<string, Processor<ComputedKindName>>>
  /** After the last job has ended. */
  close(): Promise<void>
}

/** Makes them ready: of the kinds that are defined now. */
export function startOwnProcessors(): OwnProcessors {
  const pools: ThreadPool<ComputedKindName>[] = []
  const processors = definedWorks().map(({ name, computedBy }): [string, Processor<ComputedKindName>] => {
    if (!(computedBy instanceof URL)) return [name, computedBy as Processor<ComputedKindName>] // the runner gives it its own kind's jobs
    const pool = new ThreadPool<ComputedKindName>(computedBy)
    pools.push(pool)
    return [name, pool.processor]
  })
  const close = async () => {
    await Promise.all(pools.map((pool) => pool.close()))
  }
  return { processors: Object.fromEntries(processors), close }
}
