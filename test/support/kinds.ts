import { Kinds } from '../../src/core/kind.js'
import { BUILT_IN_KINDS } from '../../src/kinds/index.js'
import type { HornInput } from '../../src/kinds/run/input.js'
import { runKind } from '../../src/kinds/run/kind.js'
import { implement, type Work } from '../../src/worker/implement.js'
import type { Processor } from '../../src/worker/processor.js'

/** The built-in kinds. */
export const BUILT_IN = new Kinds(BUILT_IN_KINDS)

/** A processor of runs. */
export type RunProcessor = Processor<HornInput, 'run'>

/** Work for runs with this processor. */
export function runsBy(run: RunProcessor): Work {
  return implement(runKind, { run })
}
