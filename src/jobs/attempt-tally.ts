import { Tally } from '../core/tally.js'
import type { Settled } from '../queue/queue.js'
import type { WriteRejection } from '../storage/broker.js'

/** How an attempt ended, as a metric label. */
type How = 'done' | 'ended' | 'retry' | 'handed_back' | 'refused'

/** Counters of attempts in this process. */
export class AttemptTally {
  readonly started = new Tally<[queue: string]>()
  readonly ended = new Tally<[queue: string, How]>()
  readonly fenced = new Tally<[WriteRejection]>([['stale_writer'], ['stale_round'], ['final'], ['unknown_job']])

  /** Counts the end of an attempt. */
  settled(queue: string, how: Settled['how']): void {
    this.ended.add(queue, how === 'returned' ? 'handed_back' : how)
  }
}
