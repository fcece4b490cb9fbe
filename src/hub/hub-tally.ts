import { Durations, Tally } from '../core/tally.js'
import { type CloseName, CODES, type CodeName, mayClose } from '../protocol/codes.js'

/** What came of reading a job again. */
export type RecoveryResult = 'nothing' | 'entries' | 'state' | 'gone' | 'unreachable'

const CLOSES = (Object.keys(CODES) as CodeName[]).filter(mayClose)

/** What a hub has done, counted where it is done: on the way of an entry each count is one addition, and once somebody asks for metrics a durable message's time is read. */
export class HubTally {
  received = 0
  delivered = 0
  conflated = 0
  resyncs = 0
  readonly recoveries: Record<RecoveryResult, number> = { nothing: 0, entries: 0, state: 0, gone: 0, unreachable: 0 }
  /** Sessions that the hub ended; `stalled`: cut off without a word. What never became a session, or what `ws` ends by itself, is not among them. */
  readonly closes = new Tally<[CloseName | 'stalled']>([...CLOSES.map((name): [CloseName] => [name]), ['stalled']])
  /** Messages of clients that were refused. */
  readonly refusals = new Tally<[CodeName]>()
  /** From the timestamp of a durable message to the first socket that it was handed to. */
  readonly deliveries = new Durations()
}
