import { runKind } from '../../src/kinds/run/kind.js'
import { implement } from '../../src/worker/implement.js'

/** Runs compute, so they have threads of their own, which can be ended by force. */
export const runWork = implement(runKind, { thread: new URL('./solver-thread.js', import.meta.url) })
