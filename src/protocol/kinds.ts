import type { Static } from 'typebox'
import { runEvents, runSnapshot } from './run-events.js'
import { HornInput, hornInputFaults } from './run-input.js'

/**
 * THE table of job kinds. A new kind is one entry here; the compiler then asks for its processor, and routes, queues and documents derive.
 * `idField` names the job in its own dialect, `processType` in the process dialect, `path` is its place in the REST interface,
 * `attempts` the automatic tries of one round.
 */
export const KINDS = {
  run: {
    idField: 'run_id',
    processType: 'solver',
    path: 'runs',
    phases: ['meshing', 'solving', 'postprocessing'],
    solvers: ['horn-2d'],
    input: HornInput,
    inputFaults: hornInputFaults,
    attempts: 3,
    events: runEvents,
    snapshot: runSnapshot,
  },
} as const

export type KindName = keyof typeof KINDS
export type InputOf<K extends KindName> = Static<(typeof KINDS)[K]['input']>
export type PhaseOf<K extends KindName> = (typeof KINDS)[K]['phases'][number]

/** What a processor returns, by kind. `metrics_summary` goes into the `completed` message as it is. */
export interface Results {
  run: { metrics_summary: Record<string, number> }
}
export type ResultOf<K extends KindName> = Results[K]

export const KIND_NAMES = Object.keys(KINDS) as KindName[]

export function isKindName(text: string): text is KindName {
  return (KIND_NAMES as readonly string[]).includes(text)
}
