import { configOf, type RedisOptions, type WorkerSettings } from '../config/options.js'
import { isKind } from '../core/define-kind.js'
import type { Kind, Kinds } from '../core/kind.js'
import { invalidOption } from '../core/known-options.js'
import { BUILT_IN_KINDS } from '../kinds/index.js'
import { isWork, type Work } from '../worker/implement.js'
import { workOf } from './define-kind.js'
import { combined } from './own-kinds.js'
import type { Log } from './parts.js'
import { Service } from './service.js'
import type { WorkerNode } from './worker-node.js'

/**
 * Options of a worker. Every setting has an option in camelCase (`cancelGraceMs` is CANCEL_GRACE_MS); limits that begin
 * with `MAX_` are in `limits`.
 */
export interface WorkerOptions extends WorkerSettings {
  readonly redis: RedisOptions
  /** What it computes: values that `implement` returns, kinds defined with `run` or `thread`, or built-in kinds. */
  readonly work: readonly (Work | Kind)[]
  /** Concurrent jobs per kind, 1 to 64. Default: the setting of each kind. */
  readonly concurrency?: number
  /** Environment of the work: keys, and variables for programs. Default: empty. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** The logger of the worker. Default: JSON lines on stdout from level `logLevel` (`warn`). */
  readonly log?: Log
}

/** A worker in this process. */
export class RuncastWorker {
  readonly #service: Service<WorkerNode>

  /** Called by `createWorker`. */
  constructor(options: WorkerOptions) {
    const { work, concurrency, env = {}, log: given, ...settings } = options
    const kinds = kindsOfWork(work)
    const names = work.map((each) => (isWork(each) ? each.kind : each).name)
    if (concurrency !== undefined && !(Number.isInteger(concurrency) && concurrency >= 1 && concurrency <= 64))
      throw invalidOption('concurrency', 'an integer from 1 to 64')
    const config = { ...configOf('worker', kinds, settings), WORKER_KINDS: names }
    this.#service = new Service(async () => {
      // Imported on demand, so that a program that only enqueues does not load the queue.
      const [{ buildWorkerNode }, { logOf, requireRedis }] = await Promise.all([import('./worker-node.js'), import('./start.js')])
      const log = logOf(given, config)
      await requireRedis(config, log)
      const computed = await Promise.all(work.map(computedWork))
      return buildWorkerNode(config, computed, log, { kinds, env, ...(concurrency !== undefined && { concurrency }) })
    })
  }

  /**
   * Connects and starts to process jobs. Rejects with `overloaded` if Redis cannot be reached, if a work cannot be
   * prepared, and with `going_away` if `close` is called.
   */
  async start(): Promise<void> {
    await this.#service.start((node) => node.start())
  }

  /**
   * Starts no more jobs, lets running ones continue for `workerFinishMs`, returns the others to the queue, and ends.
   * Safe to call at any time, also twice.
   */
  close(): Promise<void> {
    return this.#service.close()
  }
}

/**
 * Creates a worker; see `RuncastWorker`. Throws `invalid`, with one issue per option, for options that are unknown or
 * invalid. It connects in `start`.
 */
export function createWorker(options: WorkerOptions): RuncastWorker {
  return new RuncastWorker(options)
}

/** The built-in kinds, whose jobs may be child jobs of jobs in steps, and the kinds of the work. */
function kindsOfWork(work: unknown): Kinds {
  const isList = Array.isArray(work) && work.length > 0
  if (!isList || !work.every((each) => isWork(each) || isKind(each)))
    throw invalidOption('work', 'a non-empty array of values that implement or defineKind returns')
  const kinds = (work as (Work | Kind)[]).map((each) => (isWork(each) ? each.kind : each)) // each was checked above
  const idle = kinds.find((kind, i) => !isWork(work[i]) && !workOf(kind) && !isBuiltIn(kind))
  if (idle) throw invalidOption('work', `a computation for ${idle.name}: pass the value that implement(${idle.name}, …) returns`)
  return combined('work', [...BUILT_IN_KINDS, ...kinds])
}

function isBuiltIn(kind: Kind): boolean {
  return (BUILT_IN_KINDS as readonly Kind[]).includes(kind)
}

/** The computation of built-in kinds is loaded on demand. */
async function computedWork(each: Work | Kind): Promise<Work> {
  const own = workOf(each)
  if (own) return own
  const { BUILT_IN_WORK } = await import('../../workers/built-in-work.js')
  const work = BUILT_IN_WORK.find(({ kind }) => kind === each)
  if (!work) throw new TypeError(`no work for the kind ${(each as Kind).name}`)
  return work
}
