import { EventEmitter, once } from 'node:events'
import type { Workload } from '../objects.js'
import type { Pod, PodEnd } from './pod.js'

/** Of one deployment, in one test. */
const MOST_PODS = 30

/** A Deployment's controller: keeps so many pods of the newest revision, and replaces the others within maxSurge and maxUnavailable. */
export class Deployment {
  readonly ends: PodEnd[] = []
  /** All that were ever made, for what is asked of them at the end. */
  readonly all: Pod[] = []
  readonly #workload: Workload
  readonly #replicas: number
  readonly #makePod: (revision: number, onChange: () => void) => Pod
  readonly #onChange: () => void
  readonly #changes = new EventEmitter()
  readonly #pods = new Set<Pod>()
  #revision = 0
  #isOver = false

  /** `makePod` answers a pod that is not started yet. */
  constructor(workload: Workload, replicas: number, makePod: (revision: number, onChange: () => void) => Pod, onChange: () => void) {
    this.#workload = workload
    this.#replicas = replicas
    this.#makePod = makePod
    this.#onChange = onChange
    this.#changes.setMaxListeners(0)
  }

  get ready(): Pod[] {
    return [...this.#pods].filter((pod) => pod.isReady)
  }

  /** Starts the first pods, or, later, new ones in place of all that are there. Resolves when as many as wanted are ready and no old one is left. */
  async roll(): Promise<void> {
    if (this.#isOver) return
    this.#revision += 1
    this.#reconcile()
    while (!this.#isOver && !this.#isRolled()) await once(this.#changes, 'change')
  }

  /** Resolves when as many as wanted are ready again. */
  async settled(): Promise<void> {
    while (!this.#isOver && this.ready.length < this.#replicas) await once(this.#changes, 'change')
  }

  /** Ends all pods at once. */
  async end(): Promise<void> {
    this.#isOver = true
    for (const pod of this.#pods) void this.#end(pod)
    while (this.#pods.size > 0) await once(this.#changes, 'change')
  }

  #isRolled(): boolean {
    return this.ready.length === this.#replicas && [...this.#pods].every((pod) => !pod.isEnding && pod.options.revision === this.#revision)
  }

  #reconcile(): void {
    const { maxSurge = 1, maxUnavailable = 0 } = this.#workload.spec.strategy?.rollingUpdate ?? {}
    const alive = () => [...this.#pods].filter((pod) => !pod.isEnding)
    const old = () => alive().filter(({ options }) => options.revision !== this.#revision)
    // A pod that ends does not count any more.
    while (alive().length < this.#replicas + maxSurge && alive().length - old().length < this.#replicas) this.#add()
    for (const pod of old()) {
      const others = this.ready.filter((one) => one !== pod).length
      if (others >= this.#replicas - maxUnavailable) void this.#end(pod)
    }
  }

  #add(): void {
    const pod = this.#makePod(this.#revision, () => this.#changed())
    this.#pods.add(pod)
    this.all.push(pod)
    // A mistake here would fill the machine with processes.
    if (this.all.length > MOST_PODS) throw new Error(`${this.#workload.metadata.name} has made ${MOST_PODS} pods`)
    pod.start()
  }

  async #end(pod: Pod): Promise<void> {
    if (pod.isEnding) return
    const end = await pod.end()
    this.ends.push(end)
    this.#pods.delete(pod)
    this.#changed()
  }

  #changed(): void {
    this.#onChange()
    if (!this.#isOver) this.#reconcile()
    this.#changes.emit('change')
  }
}
