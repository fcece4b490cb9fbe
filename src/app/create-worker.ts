import { configOf, type RedisOptions, type WorkerSettings } from '../config/options.js'
import { isKind } from '../core/define-kind.js'
import { type Kind, Kinds } from '../core/kind.js'
import { BUILT_IN_KINDS } from '../kinds/index.js'
import { RuncastError } from '../protocol/codes.js'
import { isWork, type Work } from '../worker/implement.js'
import { workOf } from './define-kind.js'
import type { Log } from './parts.js'
import { Service } from './service.js'
import type { WorkerNode } from './worker-node.js'

/** Every setting of a worker has its option in camelCase (`cancelGraceMs` is CANCEL_GRACE_MS), those that begin with `MAX_` in `limits`. */
export interface WorkerOptions extends WorkerSettings {
  readonly redis: RedisOptions
  /** What it computes: what `implement` returns, a kind that was defined with its work (`defineKind` with `run` or `thread`), or a built-in kind. */
  readonly work: readonly (Work | Kind)[]
  /** Jobs of each kind that it computes at a time, 1 to 64; without it what each kind says. */
  readonly concurrency?: number
  /** Environment of the work: keys, and a few variables for programs. Empty without it. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Takes what it logs; without it that goes to stdout, as JSON lines from `logLevel` on (`warn`). */
  readonly log?: Log
}

/** A worker in this process. */
export class RuncastWorker {
  readonly #service: Service<WorkerNode>

  /** For `createWorker`. */
  constructor(options: WorkerOptions) {
    const { work, concurrency, env = {}, log: given, ...settings } = options
    const kinds = kindsOfWork(work)
    const names = work.map((each) => (isWork(each) ? each.kind : each).name)
    if (concurrency !== undefined && !(Number.isInteger(concurrency) && concurrency >= 1 && concurrency <= 64))
      throw invalid('concurrency', 'an integer from 1 to 64')
    const config = { ...configOf('worker', kinds, settings), WORKER_KINDS: names }
    this.#service = new Service(async () => {
      // The queue and all that a worker needs: a program that only enqueues pays nothing for them.
      const [{ buildWorkerNode }, { logOf, mustHaveRedis }] = await Promise.all([import('./worker-node.js'), import('./start.js')])
      const log = logOf(given, config)
      await mustHaveRedis(config, log)
      const computed = await Promise.all(work.map(computedWork))
      const node = await buildWorkerNode(config, computed, log, { kinds, env, ...(concurrency !== undefined && { concurrency }) })
      try {
        await node.start()
      } catch (error) {
        await node.close()
        throw error
      }
      return node
    })
  }

  /** Connects and takes jobs from then on. Rejects with `overloaded` where Redis cannot be reached, and where what computes cannot be made ready. */
  async start(): Promise<void> {
    await this.#service.start()
  }

  /** Takes no more jobs, lets those that run go on for `workerFinishMs`, returns the others to the queue, and ends. Once more does nothing more. */
  close(): Promise<void> {
    return this.#service.close()
  }
}

/** A worker for a program; see `RuncastWorker`. Throws `invalid`, with an issue for each, for options that are unknown or not valid. It connects when it starts. */
export function createWorker(options: WorkerOptions): RuncastWorker {
  return new RuncastWorker(options)
}

/** The built-in kinds, which jobs in steps may be made of, and those of the work. */
function kindsOfWork(work: unknown): Kinds {
  const isList = Array.isArray(work) && work.length > 0
  if (!isList || !work.every((each) => isWork(each) || isKind(each)))
    throw invalid('work', 'an array of what implement or defineKind returns, one at least')
  const kinds = (work as (Work | Kind)[]).map((each) => (isWork(each) ? each.kind : each)) // each was looked at
  const idle = kinds.find((kind, i) => !isWork(work[i]) && !workOf(kind) && !isBuiltIn(kind))
  if (idle) throw invalid('work', `something that computes ${idle.name}: see implement`)
  try {
    return new Kinds([...BUILT_IN_KINDS, ...kinds])
  } catch (error) {
    // It says which name is taken.
    throw error instanceof TypeError ? invalid('work', error.message) : error
  }
}

function isBuiltIn(kind: Kind): boolean {
  return (BUILT_IN_KINDS as readonly Kind[]).includes(kind)
}

/** What computes the built-in kinds is loaded where it is asked for. */
async function computedWork(each: Work | Kind): Promise<Work> {
  const own = workOf(each)
  if (own) return own
  const { BUILT_IN_WORK } = await import('../../workers/built-in-work.js')
  const work = BUILT_IN_WORK.find(({ kind }) => kind === each)
  if (!work) throw new TypeError('every kind was looked at when the worker was created')
  return work
}

function invalid(option: string, expected: string): RuncastError {
  return new RuncastError('invalid', { message: `${option}: expected ${expected}`, issues: [{ path: `/${option}`, expected }] })
}
