import type { Dialect } from '../core/dialect.js'
import type { JobState } from '../core/job-state.js'
import { isFinal } from '../protocol/status.js'
import { type LinesAdded, type LinesPage, roundOf, type TelemetryAdded } from '../storage/telemetry.js'
import type { Frame } from './frame.js'
import { sharedFrame, type TelemetryPorts, TelemetrySubscription } from './telemetry-subscription.js'

/** Where the log begins for a client. */
export interface LogOptions {
  /**
   * The number of the last line that the client has, in the log with this epoch. In another log, or without an epoch,
   * everything that is kept is sent. Absent: the last lines.
   */
  readonly after?: { readonly n: number; readonly epoch: string | null }
}

/** Lines that a client gets first without a position, and in one message. */
const LINES = 200
const MAX_BYTES = 64 * 1024

/** The next line of a client in a log. */
interface Place {
  readonly epoch: string
  readonly next: number
}

/**
 * The log of one job for one client. While the client is in step it gets the increments of the channel. If it has
 * missed one, because it is slow or the channel was lost, the lines after its last one are read. So it gets each line
 * that is still kept, once and in order.
 */
export class LogSubscription extends TelemetrySubscription {
  readonly #after: LogOptions['after']
  /** By what was handed to the transport. */
  #sent: Place | null = null
  /** By what was put into the outbox. */
  #queued: Place | null = null
  /** The log whose end the client knows. */
  #ended: string | null = null
  #isFirst = true

  constructor(ports: TelemetryPorts, { after }: LogOptions) {
    super(ports)
    this.#after = after
  }

  added(increment: TelemetryAdded): void {
    if (increment.reducer !== 'append') return
    const { pump } = this.ports
    const at = this.#queued
    const { epoch, first, count } = increment
    if (!this.isStale && at?.epoch === epoch && first + count <= at.next) return // read already
    const state = this.isStale || at?.epoch !== epoch || first !== at.next || pump.isBlocked ? null : this.ports.view()
    if (!state) return this.stale()
    this.#send(frameOf(increment, state, this.ports.dialect), { epoch, next: first + count })
  }

  override compare({ epoch, last, status }: LinesPage): void {
    const at = this.#queued
    if (at?.epoch !== epoch || at.next <= last || (isFinal(status) && this.#ended !== epoch)) this.stale()
  }

  fallBehind(): void {
    if (this.#queued === this.#sent) return
    this.#queued = this.#sent
    this.#isFirst = this.#sent === null
    this.#ended = null
    this.stale()
  }

  async pull(): Promise<void> {
    const { topic, pump } = this.ports
    this.isStale = false
    const at = this.#queued
    const after = at ? at.next - 1 : this.#after?.n
    const page = await topic.lines({ after, limit: LINES, maxBytes: MAX_BYTES })
    // The client may have become slow, or lost its backlog, meanwhile.
    if (pump.isBlocked || this.#queued !== at) return this.stale()
    const state = this.ports.view()
    // Nothing of another job with this id is sent. The hub calls `stale` once it knows that job.
    if (!page || !state || state.owner !== page.owner) return this.isFinishing ? this.release() : undefined
    const known = at ? at.epoch : this.#after ? this.#after.epoch : page.epoch
    if (known !== page.epoch) {
      // The lines of the next execution are not wanted any more.
      if (at && this.isFinishing && roundOf(page.epoch) > roundOf(at.epoch)) return this.release()
      this.#queued = { epoch: page.epoch, next: 1 }
      return this.stale()
    }
    this.#deliver(page, state)
  }

  #deliver(page: LinesPage, state: JobState): void {
    const { epoch, first, last, oldest, lines, status } = page
    const next = first + lines.length
    const isEnd = next > last && isFinal(status)
    const isNews = lines.length > 0 || this.#isFirst || (isEnd && this.#ended !== epoch)
    if (next <= last) this.isStale = true
    if (!isNews) {
      this.#queued ??= { epoch, next }
      if (isEnd && this.isFinishing && this.#sent === this.#queued) this.release()
      return
    }
    this.#isFirst = false
    if (isEnd) this.#ended = epoch
    const head = this.ports.dialect.telemetryHead(state.id, state.kind, 'log')
    const payload = messageOf({ ...head, epoch, oldest, first }, Buffer.from(`[${lines.map(String)}]`), isEnd ? { end: true } : {})
    this.#send({ payload }, { epoch, next })
  }

  #send(frame: Frame, place: Place): void {
    this.#queued = place
    this.ports.pump.send(frame, () => {
      this.#sent = place
      if (this.isFinishing && this.#ended === place.epoch) this.release()
      else if (this.isStale) this.ports.pump.wants(this)
    })
  }
}

function frameOf(increment: LinesAdded, { id, kind }: JobState, dialect: Dialect): Frame {
  const { epoch, first, body } = increment
  return sharedFrame(increment, dialect, () => ({ payload: messageOf({ ...dialect.telemetryHead(id, kind, 'log'), epoch, first }, body) }))
}

/** The message with its lines, which are JSON already. */
function messageOf(head: object, lines: Uint8Array, tail: object = {}): Buffer {
  const end = JSON.stringify(tail).slice(1)
  return Buffer.concat([Buffer.from(`${JSON.stringify(head).slice(0, -1)},"lines":`), lines, Buffer.from(end === '}' ? end : `,${end}`)])
}
