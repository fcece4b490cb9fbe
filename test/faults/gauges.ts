import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** What is measured beside an attack, until it is stopped: RSS of the hub in MB, and how long `/livez` takes in ms. Linux only. */
export class Gauges {
  readonly rssMb: number[] = []
  readonly livezMs: number[] = []
  #isStopped = false
  readonly #done: Promise<unknown>

  constructor(pid: number, host: string) {
    this.#done = Promise.all([
      this.#every(500, async () => {
        const status = readFileSync(`/proc/${pid}/status`, 'utf8')
        this.rssMb.push(Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024)
      }),
      this.#every(50, async () => {
        const start = performance.now()
        await (await fetch(`http://${host}/livez`)).arrayBuffer()
        this.livezMs.push(performance.now() - start)
      }),
    ])
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#done
  }

  async #every(ms: number, look: () => Promise<void>): Promise<void> {
    while (!this.#isStopped) {
      await look()
      await sleep(ms)
    }
  }
}
