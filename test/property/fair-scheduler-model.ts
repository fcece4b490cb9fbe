import { ok as assert, deepStrictEqual as deepEqual } from 'node:assert'
import type { QueuedRound, QueueRef } from '../../src/storage/fair-scheduler.js'

type Place = 'waiting' | 'window' | 'started'

/** What a gate must be, as small as it can be said: where each round is, and when each user was last served. It judges who was admitted, instead of choosing. */
export class GateModel {
  readonly #rounds = new Map<string, QueuedRound & { place: Place }>()
  readonly #served = new Map<string, number>()
  #services = 0
  readonly #maxActive: number

  constructor(maxActive: number) {
    this.#maxActive = maxActive
  }

  get rounds(): readonly QueuedRound[] {
    return [...this.#rounds.values()]
  }

  get window(): readonly QueuedRound[] {
    return [...this.#rounds.values()].filter(({ place }) => place === 'window')
  }

  enter(round: QueuedRound): 'waiting' | 'admitted' {
    const before = this.#rounds.get(round.id)
    if (!before) this.#rounds.set(round.id, { ...round, place: 'waiting' })
    return before && before.place !== 'waiting' ? 'admitted' : 'waiting'
  }

  /** Throws unless `id` is one that may be admitted now. */
  admitted(id: string | undefined): void {
    const queues = new Set([...this.#rounds.values()].map(({ queue }) => queue))
    if (id === undefined)
      return deepEqual(
        [...queues].flatMap((queue) => this.#candidates(queue)),
        [],
        'nobody was admitted, although these may be',
      )
    const round = this.#rounds.get(id)
    assert(round, `${id} is not here`)
    const { queue } = round
    const candidates = this.#candidates(queue)
    assert(candidates.includes(round), `${id} may not be admitted`)
    const own = candidates.filter(({ owner }) => owner === round.owner)
    const [first] = own.toSorted((a, b) => (b.priority ?? 0) - (a.priority ?? 0))
    deepEqual(first, round, 'within a user it goes by priority, then by order of entry')
    const last = (owner: string) => this.#served.get(`${queue} ${owner}`) ?? 0
    for (const other of candidates) assert(last(round.owner) <= last(other.owner), `${other.owner} waits longer than ${round.owner}`)
    round.place = 'window'
    this.#served.set(`${queue} ${round.owner}`, ++this.#services)
  }

  started({ id, queue }: QueueRef): boolean {
    const round = this.#rounds.get(id)
    if (round?.queue !== queue || round.place !== 'window') return false
    round.place = 'started'
    return true
  }

  leave(id: string): string | null {
    const queue = this.#rounds.get(id)?.queue ?? null
    this.#rounds.delete(id)
    return queue
  }

  state(id: string): 'waiting' | 'admitted' | null {
    const place = this.#rounds.get(id)?.place
    return place === undefined ? null : place === 'waiting' ? 'waiting' : 'admitted'
  }

  /** How many rounds of a queue wait for a worker, wait for a place of their owner, and were admitted. */
  depth(queue: string): { waiting: number; held: number; active: number } {
    const depth = { waiting: 0, held: 0, active: 0 }
    const left = new Map<string, number>()
    for (const { owner, isFree, place } of [...this.#rounds.values()].filter((round) => round.queue === queue)) {
      const places = left.get(owner) ?? this.#maxActive - this.#placesOf(owner)
      if (place === 'waiting' && !isFree) left.set(owner, places - 1)
      depth[place !== 'waiting' ? 'active' : isFree || places > 0 ? 'waiting' : 'held'] += 1
    }
    return depth
  }

  #placesOf(owner: string): number {
    return [...this.#rounds.values()].filter((round) => round.owner === owner && !round.isFree && round.place !== 'waiting').length
  }

  /** Rounds whose turn may come, by order of entry. */
  #candidates(queue: string): QueuedRound[] {
    const all = [...this.#rounds.values()]
    if (all.some((round) => round.queue === queue && round.place === 'window')) return []
    return all.filter(
      (round) => round.queue === queue && round.place === 'waiting' && (round.isFree || this.#placesOf(round.owner) < this.#maxActive),
    )
  }
}
