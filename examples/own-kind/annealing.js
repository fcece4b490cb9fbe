/**
 * A longer tour is accepted with probability exp(-loss / temperature). The temperature falls between these shares of
 * the mean step.
 */
const [HOT, COLD] = [1, 0.001]

/**
 * Simulated annealing of a closed tour (Kirkpatrick, Gelatt, Vecchi 1983). A move reverses a section of the tour, which
 * replaces two of its steps (2-opt).
 */
export class Annealing {
  /** Indices of the cities, in the order of the tour. */
  order
  /** Length of the tour, in the unit of the coordinates. */
  length
  /** Accepted moves. */
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

  /** Share of the cooling that is done, 0 to 1. */
  get share() {
    return this.#done / this.#sweeps
  }

  get isCold() {
    return this.#done >= this.#sweeps
  }

  /** Tries one move per city, at one temperature. */
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

  /** Makes every move that shortens the tour, until there is none. */
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
    // Computed anew, without accumulated rounding errors.
    this.length = this.#measure()
  }

  /** By how much the tour gets shorter if the section between two positions is reversed. */
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
