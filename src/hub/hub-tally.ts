import { Durations, Tally } from '../core/tally.js'
import { type CloseName, CODES, type CodeName, mayClose } from '../protocol/codes.js'

/** Result of reading a job again. */
export type RecoveryResult = 'nothing' | 'entries' | 'state' | 'gone' | 'unreachable'

const CLOSES = (Object.keys(CODES) as CodeName[]).filter(mayClose)

/**
 * Counters of a hub, updated where the work is done. Per entry, each counter costs one addition. Once metrics are
 * requested, the timestamp of each persisted event is read as well.
 */
export class HubTally {
  received = 0
  delivered = 0
  conflated = 0
  resyncs = 0
  readonly recoveries: Record<RecoveryResult, number> = { nothing: 0, entries: 0, state: 0, gone: 0, unreachable: 0 }
  /**
   * Sessions closed by the hub. `stalled`: terminated without a close message. Connections that never became a session,
   * and those that `ws` closes by itself, are not counted.
   */
  readonly closes = new Tally<[CloseName | 'stalled']>([...CLOSES.map((name): [CloseName] => [name]), ['stalled']])
  /** Client messages that were answered with an error. */
  readonly refusals = new Tally<[CodeName]>()
  /** From the timestamp of a persisted event to the first socket that it was handed to. */
  readonly deliveries = new Durations()
}
