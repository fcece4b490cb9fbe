import type { JobEvent, Writer } from '../../src/core/entry.js'
import { isFinal, type Status } from '../../src/protocol/status.js'
import type { WriteRejection } from '../../src/storage/broker.js'
import { EDGES } from '../contract/rule-state-1.js'

/** What a broker answers, less its wrapping: the seq of a write that was done, or why it was not. */
export type Answer = readonly [seqOrReason: number | WriteRejection, status: Status]

/** The rules of a job in a few lines: what every broker is held against. */
export class JobModel {
  status: Status = 'queued'
  round = 1
  attempt = 1
  seq = 1
  latest: [key: string, seq: number][] = [['status', 1]]
  log = [1]
  #last = { token: 0, n: 0, seq: 0 }

  get token(): number {
    return this.#last.token
  }

  publish(events: readonly JobEvent[], { round, token, n }: Writer): Answer {
    const last = this.#last
    if (round !== (events[0]?.clears === 'round' ? this.round + 1 : this.round)) return ['stale_round', this.status]
    if (n > 0 && token < last.token) return ['stale_writer', this.status]
    if (n > 0 && token === last.token && n === last.n) return [last.seq, this.status]
    if (n > 0 && token === last.token && n < last.n) return ['stale_write', this.status]
    let status = this.status
    const accepted: JobEvent[] = []
    for (const event of events) {
      const enters = !event.to || ((event.from?.includes(status) ?? true) && EDGES[status].includes(event.to))
      if (enters && isFinal(status) === (event.clears === 'round')) {
        accepted.push(event)
        status = event.to ?? status
      } else if (!event.optional) return [isFinal(status) ? 'final' : 'transition', this.status]
    }
    for (const event of accepted) this.#append(event)
    if (n > 0) this.#last = { token, n, seq: this.seq }
    return [this.seq, this.status]
  }

  #append({ key, clears, to, class: entryClass }: JobEvent): void {
    if (clears === 'attempt') this.attempt += 1
    if (clears === 'round') {
      this.attempt = 1
      this.round += 1
      this.#last = { token: 0, n: 0, seq: 0 }
    }
    const gone = (name: string) => clears && (/^(progress$|metric:)/.test(name) || (clears === 'round' && name === 'final'))
    this.seq += 1
    this.latest = [...this.latest.filter(([name]) => name !== key && !gone(name)), [key, this.seq]]
    if (entryClass !== 'transient') this.log.push(this.seq)
    this.status = to ?? this.status
  }
}
