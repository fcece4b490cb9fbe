import { isOverloaded } from '../../protocol/codes.js'
import { MAX_LISTED_PROCESSES, type ProcessEntry, type Processes } from '../processes.js'
import { asked } from '../store-fault.js'
import type { CommandConnection } from './connection.js'
import type { RedisKeys } from './keys.js'

export interface ProcessesOptions {
  readonly commands: CommandConnection
  readonly keys: RedisKeys
  /** Receives errors that are no outage of Redis. */
  readonly onFault: (error: unknown) => void
  /** Lifetime of an entry without renewal, and the interval of renewals. */
  readonly leaseMs?: number
  readonly renewMs?: number
}

/** A dead process is listed for at most this long. */
const LEASE_MS = 6000
const RENEW_MS = 2000

/** The entries in Redis, on a connection of the owner, by the clock of Redis. */
export class RedisProcesses implements Processes {
  readonly #options: Required<ProcessesOptions>
  readonly #all: readonly [ends: string, entries: string]
  #describe: (() => ProcessEntry) | undefined
  #timer: NodeJS.Timeout | undefined
  #renewing: Promise<void> | undefined
  #isClosed = false

  constructor(options: ProcessesOptions) {
    this.#options = { leaseMs: LEASE_MS, renewMs: RENEW_MS, ...options }
    this.#all = options.keys.processes()
  }

  announce(describe: () => ProcessEntry): void {
    if (this.#isClosed) return
    this.#describe = describe
    this.#timer = setInterval(() => this.#renew(), this.#options.renewMs).unref()
    this.#renew()
  }

  async list(): Promise<{ processes: ProcessEntry[]; total: number }> {
    const [total, ...texts] = await asked(this.#options.commands.runcastProcessList(...this.#all, MAX_LISTED_PROCESSES))
    return { processes: texts.map(readEntry), total }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#timer)
    const entry = this.#describe?.()
    this.#describe = undefined
    await this.#renewing
    if (entry) await this.#write(entry.id, 0, '')
  }

  /** One at a time, so that renewals do not pile up while Redis does not answer. */
  #renew(): void {
    const entry = this.#describe?.()
    if (!entry || this.#renewing) return
    this.#renewing = this.#write(entry.id, this.#options.leaseMs, JSON.stringify(entry)).finally(() => {
      this.#renewing = undefined
    })
  }

  async #write(id: string, leaseMs: number, entry: string): Promise<void> {
    const { commands, onFault } = this.#options
    try {
      await asked(commands.runcastProcessAnnounce(...this.#all, id, leaseMs, entry))
    } catch (error) {
      if (!isOverloaded(error)) onFault(error)
    }
  }
}

/** Only processes of this package write entries; another version may have other fields. */
function readEntry(text: string): ProcessEntry {
  const none = { id: '', role: 'worker', host: '', pid: 0, version: '', started_at: '', kinds: [], queues: [], jobs: [] } as const
  return { ...none, ...(JSON.parse(text) as Partial<ProcessEntry>) }
}
