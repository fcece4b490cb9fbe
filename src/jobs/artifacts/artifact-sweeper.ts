import { storeClock } from '../../core/store-clock.js'
import type { JobArtifacts, StoredJob } from '../../storage/artifact-records.js'
import type { Lease } from '../../storage/lease.js'
import type { ArtifactService } from './artifact-service.js'

const BATCH = 100
/** Objects are removed in groups of this size. */
const REMOVED_AT_ONCE = 500
/** How often the store is compared with Redis, and the age from which an unknown object is removed. */
const DAY_MS = 24 * 3600_000

export interface ArtifactSweeperOptions {
  readonly intervalMs: number
  readonly onFault: (error: unknown) => void
}

/**
 * Removes artifacts whose jobs have expired. Every hub and worker that shares the store runs one, but a lease lets only
 * one at a time sweep. The expiry index names the jobs; once a day the store itself is read, for objects that no job
 * refers to, such as those of interrupted uploads.
 */
export class ArtifactSweeper {
  readonly #service: ArtifactService
  readonly #lease: Lease
  readonly #options: ArtifactSweeperOptions
  readonly #timer: NodeJS.Timeout
  #turn: Promise<void> | undefined
  #hasLease = false
  #closed = false

  constructor(service: ArtifactService, lease: Lease, options: ArtifactSweeperOptions) {
    this.#service = service
    this.#lease = lease
    this.#options = options
    this.#timer = setInterval(() => {
      this.#turn ??= this.#sweep()
        .catch(options.onFault)
        .finally(() => {
          this.#turn = undefined
        })
    }, options.intervalMs).unref()
  }

  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#timer)
    await this.#turn
    if (this.#hasLease) await this.#lease.release().catch(this.#options.onFault)
  }

  async #sweep(): Promise<void> {
    // First the lease, so that one process at a time reads the marker of the store.
    this.#hasLease = await this.#lease.acquire()
    if (!this.#hasLease) return
    let isShared: boolean | null = null
    try {
      isShared = await this.#service.isShared()
    } finally {
      if (isShared !== true) await this.#leave()
    }
    if (!isShared) return
    const { records } = this.#service
    for (;;) {
      const due = await records.due(storeClock.now(), BATCH)
      for (const job of due) {
        if (this.#closed) return
        await this.#check(job)
      }
      if (due.length < BATCH) break
      this.#hasLease = await this.#lease.acquire()
      if (!this.#hasLease) return
    }
    if (await records.isFirstIn(DAY_MS)) await this.reconcile(storeClock.now() - DAY_MS)
  }

  /** Leaves the lease to a process that shares the store and can use it. */
  async #leave(): Promise<void> {
    this.#hasLease = false
    await this.#lease.release()
  }

  /** Removes what an expired job has stored. A job that still exists is checked again later. */
  async #check(job: StoredJob): Promise<void> {
    const { records, nextCheck } = this.#service
    const found = await records.read(job.id)
    if (found?.generation !== job.generation) return this.#remove(job)
    await records.count(job, found)
    const expiresAt = storeClock.now() + found.ttlMs + 1
    await records.schedule(job, found.isFinal ? expiresAt : Math.min(expiresAt, nextCheck))
  }

  /** The order lets a process that dies leave the job in the index. */
  async #remove(job: StoredJob): Promise<void> {
    const { records, store } = this.#service
    const objects: string[] = []
    for await (const { object } of store.list(`${job.id}/${job.generation}`)) objects.push(object)
    await store.remove(objects)
    await records.count(job)
    await records.unschedule(job)
  }

  /** Removes objects stored before `before` (epoch ms) that no job refers to. */
  async reconcile(before: number): Promise<void> {
    const { store } = this.#service
    let last: { readonly id: string; readonly found: JobArtifacts | null } | undefined
    let unknown: string[] = []
    for await (const { object, storedAt } of store.list()) {
      if (this.#closed) return
      if (storedAt >= before) continue
      const [id = '', generation = ''] = object.split('/')
      if (last?.id !== id) last = { id, found: await this.#service.records.read(id) }
      if (await this.#isKept({ id, generation }, object, last.found)) continue
      unknown.push(object)
      if (unknown.length < REMOVED_AT_ONCE) continue
      await store.remove(unknown)
      unknown = []
      await this.#lease.acquire()
    }
    await store.remove(unknown)
  }

  /** A job that has expired is left to its entry in the index. */
  async #isKept(job: Pick<StoredJob, 'id' | 'generation'>, object: string, found: JobArtifacts | null): Promise<boolean> {
    if (found?.generation === job.generation) return found.objects.includes(object)
    return this.#service.records.isScheduled(job)
  }
}
