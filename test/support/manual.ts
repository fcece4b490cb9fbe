import type { Clock } from '../../src/core/clock.js'
import type { Frame } from '../../src/hub/frame.js'
import type { Transport } from '../../src/hub/transport.js'
import type { CloseName } from '../../src/protocol/codes.js'
import type { Message } from './test-client.js'

/** A clock that advances only when a test says so. */
export class ManualClock implements Clock {
  #now = 1_700_000_000_000
  #setBy = 0
  #turn: (() => void)[] = []
  readonly #timers = new Map<number, { at: number; act: () => void }>()
  #counter = 0

  now(): number {
    return this.#now + this.#setBy
  }

  elapsed(): number {
    return this.#now
  }

  /** Sets the wall clock forward or back; `elapsed` does not change. */
  set(ms: number): void {
    this.#setBy += ms
  }

  after(ms: number, act: () => void): () => void {
    const id = this.#counter++
    this.#timers.set(id, { at: this.#now + ms, act })
    return () => this.#timers.delete(id)
  }

  atTurnEnd(act: () => void): void {
    this.#turn.push(act)
  }

  get pendingTimers(): number {
    return this.#timers.size
  }

  /** Runs the callbacks of `atTurnEnd`. */
  turn(): void {
    const acts = this.#turn
    this.#turn = []
    for (const act of acts) act()
  }

  /** Advances the time and runs timers in order. */
  advance(ms: number): void {
    const end = this.#now + ms
    for (;;) {
      const due = [...this.#timers].filter(([, timer]) => timer.at <= end).sort(([, a], [, b]) => a.at - b.at)[0]
      if (!due) break
      this.#timers.delete(due[0])
      this.#now = Math.max(this.#now, due[1].at)
      due[1].act()
    }
    this.#now = end
  }
}

/** A transport whose socket fills and drains when a test says so. */
export class ManualTransport implements Transport {
  /** One element per write. */
  readonly writes: Frame[][] = []
  closedWith: CloseName | undefined
  terminated = false
  congested = false
  bufferedBytes = 0
  onDrain: () => void = () => {}

  send(frames: readonly Frame[]): void {
    this.writes.push([...frames])
    if (this.fillsAfter !== undefined && this.writes.length >= this.fillsAfter) this.fill(64 * 1024)
  }

  /** Number of writes after which it is congested. */
  fillsAfter: number | undefined

  close(code: CloseName): void {
    this.closedWith ??= code
  }

  terminate(): void {
    this.terminated = true
  }

  pings = 0

  ping(): void {
    this.pings += 1
  }

  fill(bytes: number): void {
    this.congested = true
    this.bufferedBytes = bytes
  }

  drain(): void {
    this.congested = false
    this.bufferedBytes = 0
    this.onDrain()
  }

  get messages(): Message[] {
    return this.writes.flat().map((frame) => JSON.parse(frame.payload.toString()))
  }
}

/** Waits until all pending promise callbacks have run. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 50; i += 1) await Promise.resolve()
}
