/** Maximum differences to the base. With more, the map becomes a new base. */
const MAX_DIFFERENCES = 32

/** A map with cheap immutable snapshots: they share the base and copy only the differences. */
export class SharedMap<V> implements ReadonlyMap<string, V> {
  #base: ReadonlyMap<string, V>
  /** Replace values of the base. */
  readonly #changed: Map<string, V>
  readonly #removed: Set<string>
  /** Ordered after the base. */
  readonly #added: Map<string, V>
  #snapshot: ReadonlyMap<string, V> | undefined

  constructor(from?: SharedMap<V>) {
    this.#base = from ? from.#base : new Map()
    this.#changed = new Map(from ? from.#changed : [])
    this.#removed = new Set(from ? from.#removed : [])
    this.#added = new Map(from ? from.#added : [])
  }

  /** The current content; the same object until something changes. */
  snapshot(): ReadonlyMap<string, V> {
    this.#snapshot ??= new SharedMap(this)
    return this.#snapshot
  }

  set(key: string, value: V): void {
    const isInBase = this.#base.has(key) && !this.#removed.has(key)
    const differences = isInBase ? this.#changed : this.#added
    differences.set(key, value)
    this.#different()
  }

  delete(key: string): void {
    if (!this.has(key)) return
    this.#added.delete(key)
    this.#changed.delete(key)
    if (this.#base.has(key)) this.#removed.add(key)
    this.#different()
  }

  get size(): number {
    return this.#base.size - this.#removed.size + this.#added.size
  }

  get(key: string): V | undefined {
    return this.#added.get(key) ?? this.#changed.get(key) ?? (this.#removed.has(key) ? undefined : this.#base.get(key))
  }

  has(key: string): boolean {
    return this.#added.has(key) || (this.#base.has(key) && !this.#removed.has(key))
  }

  *entries(): Generator<[string, V], undefined> {
    for (const [key, value] of this.#base) if (!this.#removed.has(key)) yield [key, this.#changed.get(key) ?? value]
    yield* this.#added
  }

  *keys(): Generator<string, undefined> {
    for (const [key] of this.entries()) yield key
  }

  *values(): Generator<V, undefined> {
    for (const [, value] of this.entries()) yield value
  }

  [Symbol.iterator](): Generator<[string, V], undefined> {
    return this.entries()
  }

  forEach(act: (value: V, key: string, map: ReadonlyMap<string, V>) => void): void {
    for (const [key, value] of this.entries()) act(value, key, this)
  }

  #different(): void {
    this.#snapshot = undefined
    if (this.#changed.size + this.#removed.size + this.#added.size <= MAX_DIFFERENCES) return
    this.#base = new Map(this.entries())
    for (const differences of [this.#changed, this.#removed, this.#added]) differences.clear()
  }
}
