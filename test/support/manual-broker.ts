import { controlWriter, type Entry, type JobEvent, type Position } from '../../src/core/entry.js'
import type { JobBrief } from '../../src/core/job-state.js'
import type { Kind } from '../../src/core/kind.js'
import { runEvents } from '../../src/core/run-events.js'
import { runKind } from '../../src/kinds/run/kind.js'
import { RuncastError } from '../../src/protocol/codes.js'
import type { Status } from '../../src/protocol/status.js'
import type { Broker, BrokerListener, Reading } from '../../src/storage/broker.js'
import { MemoryBroker } from './memory-broker.js'

/** A broker that can lose and delay entries, and delay or fail reads, so that tests can produce any race. */
export class ManualBroker implements Broker {
  readonly memory = new MemoryBroker({ maxLogEntries: 50 })
  /** Channels with subscribers. */
  readonly subscribed = new Set<string>()
  reads = 0
  /** Entries that the channel loses from now on. */
  loses = 0
  /** True: Redis is unavailable. An error: reads fail with it, as with a bug. */
  failsReads: boolean | Error = false
  /** Overrides the result of every read. */
  kind: Kind = runKind
  /** The worker of every job has given no sign of life. */
  stale = false
  /** Added to each epoch, to imitate a server with another history. */
  server = ''
  /** Previous values of `server` with the same history. */
  readonly #continued: string[] = []
  #heldEntries: Entry[] | undefined
  #heldReads: (() => void)[] | undefined
  #listener: BrokerListener = { entry: () => {}, gap: () => {} }
  #n = 0

  constructor() {
    this.memory.listen({ entry: (entry) => this.#deliver(entry), gap: () => {} })
  }

  async create(id: string, owner = 'alice'): Promise<void> {
    const record = { kind: 'run', owner, input: '{}', digest: id, generation: `g-${id}`, created_at: '2026-01-01T00:00:00.000Z' } as const
    await this.memory.create({ id, ...record, timeoutMs: 3600_000, solver: null, parent: null }, runEvents.status(id, 'queued'))
  }

  /** Creates a running job. */
  async run(id: string, owner?: string): Promise<void> {
    await this.create(id, owner)
    await this.report(id, runEvents.status(id, 'running'))
  }

  report(id: string, ...events: JobEvent[]) {
    this.#n += 1
    return this.memory.publish(id, events, { round: 1, token: 1, n: this.#n })
  }

  progress(id: string, percent: number) {
    return this.report(id, runEvents.progress(id, { percent, phase: 'solving', message: '', elapsed_s: 1 }))
  }

  metric(id: string, name: string, value = 1) {
    return this.report(id, runEvents.metric(id, name, value, 'Hz'))
  }

  end(id: string, round = 1) {
    return this.memory.publish(
      id,
      [runEvents.completed(id, { compute_time_s: 1, metrics_summary: {} }, { percent: 99 })],
      controlWriter(round),
    )
  }

  status(id: string, to: Status, round = 1) {
    return this.memory.publish(id, [runEvents.status(id, to)], controlWriter(round))
  }

  fail(id: string, round = 1) {
    return this.memory.publish(id, [runEvents.failed(id, { error: 'e', code: 'solver_error', log_tail: '' }, {})], controlWriter(round))
  }

  /** Opens another round of a job that has ended. */
  retry(id: string, round = 2) {
    return this.memory.publish(id, [{ ...runEvents.status(id, 'queued'), clears: 'round' }], controlWriter(round))
  }

  /** Switches to another server that has lost nothing. */
  restart(): void {
    this.#continued.push(this.server)
    this.server += '-again'
  }

  holdEntries(): void {
    this.#heldEntries = []
  }

  /** Delivers the delayed entries, in the given order (indexes) if any. */
  releaseEntries(order?: readonly number[]): void {
    const held = this.#heldEntries ?? []
    this.#heldEntries = undefined
    for (const entry of order ? order.flatMap((i) => held[i] ?? []) : held) this.#listener.entry(entry)
  }

  holdReads(): void {
    this.#heldReads = []
  }

  releaseReads(): void {
    const held = this.#heldReads ?? []
    this.#heldReads = undefined
    for (const release of held) release()
  }

  gap(id: string): void {
    this.#listener.gap(id)
  }

  listen(listener: BrokerListener): void {
    this.#listener = listener
  }

  publish(...args: Parameters<MemoryBroker['publish']>) {
    return this.memory.publish(...args)
  }

  subscribe(id: string): Promise<void> {
    this.subscribed.add(id)
    return this.memory.subscribe(id)
  }

  unsubscribe(id: string): Promise<void> {
    this.subscribed.delete(id)
    return this.memory.unsubscribe(id)
  }

  async readBrief(id: string): Promise<JobBrief | null> {
    return (await this.read(id))?.state ?? null
  }

  /** Reads at the time of the call; the answer may be delayed. */
  async read(id: string, since?: Position): Promise<Reading | null> {
    this.reads += 1
    if (this.failsReads) throw this.failsReads === true ? new RuncastError('overloaded') : this.failsReads
    const [, epoch = '', server = ''] = /^(.*\.memory)(.*)$/.exec(since?.epoch ?? '') ?? []
    const own = since && { ...since, epoch: [this.server, ...this.#continued].includes(server) ? epoch : '' }
    const reading = await this.memory.read(id, own)
    const held = this.#heldReads
    if (held) await new Promise<void>((resolve) => held.push(resolve))
    return (
      reading && {
        ...reading,
        state: { ...reading.state, kind: this.kind, ...(this.stale && { stale: true }), epoch: reading.state.epoch + this.server },
      }
    )
  }

  async ready(): Promise<boolean> {
    return true
  }

  async close(): Promise<void> {}

  #deliver(entry: Entry): void {
    if (this.loses > 0) this.loses -= 1
    else if (this.#heldEntries) this.#heldEntries.push(entry)
    else this.#listener.entry(entry)
  }
}
