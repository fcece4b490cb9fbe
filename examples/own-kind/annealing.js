/** A worse tour is taken with probability exp(-loss / temperature); the temperature falls from this share of the mean step to that one. */
const [HOT, COLD] = [1, 0.001]

/**
 * Simulated annealing of a closed tour (Kirkpatrick, Gelatt, Vecchi 1983). A move turns a stretch of the tour round, which replaces two of its steps (2-opt).
 */
export class Annealing {
  /** The cities as they are visited, by their number. */
  order
  /** Of the tour, in the unit of the coordinates. */
  length
  /** That were taken. */
  moves = 0
  #cities
  #random
  #sweeps
  #done = 0
  #scale

  constructor(cities, random, sweeps) {
    this.#cities = cities
    this.#random = random
    this.#sweeps = sweeps
    this.order = cities.map((_, i) => i)
    this.length = this.#measure()
    this.#scale = this.length / cities.length
  }

  /** How much of the cooling is done, 0 to 1. */
  get share() {
    return this.#done / this.#sweeps
  }

  get isCold() {
    return this.#done >= this.#sweeps
  }

  /** Tries one move for each city, at one temperature. */
  sweep() {
    const temperature = this.#scale * HOT * (COLD / HOT) ** this.share
    const n = this.order.length
    for (let tried = 0; tried < n; tried += 1) {
      const [a, b] = [Math.floor(this.#random() * n), Math.floor(this.#random() * n)]
      const [from, to] = a < b ? [a, b] : [b, a]
      const gain = this.#gain(from, to)
      if (gain >= 0 || this.#random() < Math.exp(gain / temperature)) this.#turn(from, to, gain)
    }
    this.#done += 1
  }

  /** Takes every move that shortens the tour, until there is none. */
  polish() {
    const n = this.order.length
    let isBetter = true
    while (isBetter) {
      isBetter = false
      for (let from = 0; from < n - 1; from += 1) {
        for (let to = from + 1; to < n; to += 1) {
          const gain = this.#gain(from, to)
          if (gain <= this.#scale * 1e-9) continue
          this.#turn(from, to, gain)
          isBetter = true
        }
      }
    }
    // Without what rounding has added up.
    this.length = this.#measure()
  }

  /** What the tour gets shorter by if the cities from one place to another are visited the other way round. */
  #gain(from, to) {
    const n = this.order.length
    if (from === to || to - from >= n - 1) return 0
    const [before, first] = [this.order[(from + n - 1) % n], this.order[from]]
    const [last, after] = [this.order[to], this.order[(to + 1) % n]]
    return this.#step(before, first) + this.#step(last, after) - this.#step(before, last) - this.#step(first, after)
  }

  #turn(from, to, gain) {
    if (from === to) return
    for (let [i, j] = [from, to]; i < j; i += 1, j -= 1) [this.order[i], this.order[j]] = [this.order[j], this.order[i]]
    this.length -= gain
    this.moves += 1
  }

  #step(a, b) {
    const [p, q] = [this.#cities[a], this.#cities[b]]
    return Math.hypot(p.x - q.x, p.y - q.y)
  }

  #measure() {
    return this.order.reduce((sum, city, i) => sum + this.#step(city, this.order[(i + 1) % this.order.length]), 0)
  }
}
