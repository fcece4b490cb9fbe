import type { Bucket, Point } from '../protocol/series-messages.js'

export type { Bucket, Point }

/*
 * The curve of a metric. Workers, the store, hubs and clients fold points into the same buckets. It runs in browsers.
 */

/**
 * A part of a curve, as messages carry it. `from`: points before this part. `n`: points up to its end. `k`: points per
 * bucket of the whole curve, a power of two. `points` instead of `buckets` if each bucket holds one point.
 */
export interface SeriesPart {
  readonly from: number
  readonly n: number
  readonly k: number
  readonly buckets?: readonly Bucket[] | undefined
  readonly points?: readonly Point[] | undefined
}

/** Maximum number of buckets of a curve. At this number neighbours are merged and k doubles. */
export const MAX_BUCKETS = 2000
/** Maximum number of buckets or points of a message of a worker. */
export const MAX_PART_BUCKETS = 256

const FIELDS = 7
const BYTES = 8 * FIELDS
const FIRST_BUCKETS = 4

/** `applied`: the curve includes the part now. `known`: it did already. `gap`: points are missing before the part. */
export type Folded = 'applied' | 'known' | 'gap'

/**
 * Folds the points of a curve into buckets of k points, aligned at multiples of k counted from the first point of the
 * attempt. The fold of any parts equals the fold of all points at the same k. A point costs constant time.
 */
export class SeriesFold {
  readonly #maxBuckets: number
  readonly #start: number
  #values = new Float64Array(FIRST_BUCKETS * FIELDS)
  #size = 0
  #k = 1
  #n: number
  /** Number of the first bucket, counted from the first point of the attempt. */
  #first: number

  /** `start`: points of the attempt before this fold. `maxBuckets`: above it k doubles; at least 2. */
  constructor({ start = 0, maxBuckets = MAX_BUCKETS }: { readonly start?: number; readonly maxBuckets?: number } = {}) {
    this.#start = start
    this.#n = start
    this.#first = start
    this.#maxBuckets = maxBuckets
  }

  /** Points of the attempt up to the end of this fold. */
  get n(): number {
    return this.#n
  }

  /** Points per bucket. The first bucket has fewer if `start` is no multiple of it, the last one may have fewer. */
  get k(): number {
    return this.#k
  }

  /** Number of buckets. */
  get size(): number {
    return this.#size
  }

  add(x: number, y: number): void {
    this.#put(x, x, y, y, y, y, 1)
  }

  /** Doubles k until it is at least this. */
  raise(k: number): void {
    while (this.#k < k) this.#double()
  }

  /**
   * Folds the next part, or replaces the end of the curve by one that begins at a bucket. k becomes at least that of
   * the part.
   */
  fold({ from, n, k, buckets, points = [] }: SeriesPart): Folded {
    if (n < this.#n || (n === this.#n && k <= this.#k)) return 'known'
    if (from > this.#n) return 'gap'
    this.raise(k)
    if (n === this.#n) return 'applied'
    if (from < this.#n && !this.#truncate(from)) return 'gap'
    if (buckets) for (const bucket of buckets) this.#put(...bucket)
    else for (const [x, y] of points) this.add(x, y)
    return 'applied'
  }

  /** The buckets that contain points after the first `from` ones. */
  buckets(from = this.#start): Bucket[] {
    const skipped = this.#skipped(from)
    return Array.from({ length: this.#size - skipped }, (_, i) => this.#bucket(skipped + i))
  }

  /** The points, if each bucket holds one. */
  points(): Point[] | null {
    return this.#k === 1 ? this.buckets().map(([x, , y]) => [x, y]) : null
  }

  /** The part after the first `from` points; it begins at a bucket. */
  part(from = this.#start): Required<Pick<SeriesPart, 'from' | 'n' | 'k'>> & { readonly buckets: readonly Bucket[] } {
    const begin = Math.max(this.#start, (this.#first + this.#skipped(from)) * this.#k)
    return { from: Math.min(begin, this.#n), n: this.#n, k: this.#k, buckets: this.buckets(from) }
  }

  /** The buckets as little-endian doubles. */
  bytes(): Uint8Array {
    const view = new DataView(new ArrayBuffer(this.#size * BYTES))
    for (let i = 0; i < this.#size * FIELDS; i += 1) view.setFloat64(8 * i, this.#at(i), true)
    return new Uint8Array(view.buffer)
  }

  #skipped(from: number): number {
    if (from >= this.#n) return this.#size
    return Math.min(this.#size, Math.max(0, Math.floor(from / this.#k) - this.#first))
  }

  /** False if this is in the middle of a bucket. */
  #truncate(from: number): boolean {
    if (from % this.#k !== 0 || from < this.#start) return false
    this.#size = from / this.#k - this.#first
    this.#n = from
    return true
  }

  #put(xFirst: number, xLast: number, yFirst: number, yMin: number, yMax: number, yLast: number, count: number): void {
    let index = this.#indexOfNext()
    while (index >= this.#maxBuckets) {
      this.#double()
      index = this.#indexOfNext()
    }
    if (index < this.#size) this.#merge(this.#size - 1, [xFirst, xLast, yFirst, yMin, yMax, yLast, count])
    else this.#append([xFirst, xLast, yFirst, yMin, yMax, yLast, count])
    this.#n += count
  }

  /** The bucket of the next point. */
  #indexOfNext(): number {
    return Math.floor(this.#n / this.#k) - this.#first
  }

  #append(bucket: Bucket): void {
    const at = this.#size * FIELDS
    if (at === this.#values.length) {
      const larger = new Float64Array(2 * at)
      larger.set(this.#values)
      this.#values = larger
    }
    this.#values.set(bucket, at)
    this.#size += 1
  }

  #merge(i: number, [, xLast, , yMin, yMax, yLast, count]: Bucket): void {
    const [xFirst, , yFirst, least, greatest, , before] = this.#bucket(i)
    this.#values.set([xFirst, xLast, yFirst, Math.min(least, yMin), Math.max(greatest, yMax), yLast, before + count], i * FIELDS)
  }

  #double(): void {
    const first = Math.floor(this.#first / 2)
    const size = this.#size
    this.#size = 0
    for (let i = 0; i < size; i += 1) {
      const bucket = this.#bucket(i)
      if (Math.floor((this.#first + i) / 2) - first < this.#size) this.#merge(this.#size - 1, bucket)
      else this.#append(bucket)
    }
    this.#first = first
    this.#k *= 2
  }

  #bucket(i: number): Bucket {
    const at = (field: number) => this.#at(i * FIELDS + field)
    return [at(0), at(1), at(2), at(3), at(4), at(5), at(6)]
  }

  #at(i: number): number {
    return this.#values[i] ?? 0
  }
}

/** The buckets in bytes that `SeriesFold.bytes` or the store has made. */
export function bucketsOf(bytes: Uint8Array): Bucket[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Array.from({ length: bytes.byteLength / BYTES }, (_, i) => {
    const at = (field: number) => view.getFloat64(i * BYTES + 8 * field, true)
    return [at(0), at(1), at(2), at(3), at(4), at(5), at(6)]
  })
}
