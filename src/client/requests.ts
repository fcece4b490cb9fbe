/** Maximum automatic requests per second. Hubs accept more, but the user of the watch needs a share. */
const PER_SECOND = 30
const SECOND_MS = 1000

/** A request about a process. */
export interface ProcessRequest {
  readonly type: string
  readonly process_id: string
}

/**
 * Sends the automatic requests of a watch at a rate that hubs accept: one per process at a time, in order. Requests
 * that a hub rejected as too fast are sent again.
 */
export class Requests {
  readonly #send: (request: ProcessRequest) => void
  readonly #waiting = new Map<string, ProcessRequest>()
  readonly #unanswered = new Map<string, ProcessRequest>()
  /** Requests sent in this second. */
  #sent = 0
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(send: (request: ProcessRequest) => void) {
    this.#send = send
  }

  /** Does nothing if a request about this process is pending. */
  add(request: ProcessRequest): void {
    const { process_id } = request
    if (this.#waiting.has(process_id) || this.#unanswered.has(process_id)) return
    this.#waiting.set(process_id, request)
    this.#flush()
  }

  /** Returns whether a request about this process had not been sent yet. It is not sent any more. */
  answered(processId: string): boolean {
    this.#unanswered.delete(processId)
    return this.#waiting.delete(processId)
  }

  /** Replaces a pending request about this process. */
  replace(request: ProcessRequest): void {
    this.answered(request.process_id)
    this.add(request)
  }

  /** Sends a request again later. Without an id all unanswered ones, since it is unknown which were too fast. */
  again(processId?: string): void {
    for (const [id, request] of this.#unanswered) {
      if (processId !== undefined && processId !== id) continue
      this.#unanswered.delete(id)
      this.#waiting.set(id, request)
    }
    this.#sent = PER_SECOND
    this.#schedule()
  }

  /** The connection was replaced: pending requests will not be answered. */
  clear(): void {
    this.#waiting.clear()
    this.#unanswered.clear()
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#sent = 0
  }

  #flush(): void {
    for (const [id, request] of this.#waiting) {
      if (this.#sent >= PER_SECOND) break
      this.#waiting.delete(id)
      this.#unanswered.set(id, request)
      this.#sent += 1
      this.#send(request)
    }
    if (this.#sent > 0) this.#schedule()
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#sent = 0
      this.#flush()
    }, SECOND_MS)
  }
}
