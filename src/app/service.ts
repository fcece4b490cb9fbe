import { ConfigError } from '../config/config.js'
import { SettingsFileError } from '../config/settings-file.js'
import { RuncastError } from '../protocol/codes.js'

/** Starts a hub or worker at most once at a time, and closes it once. */
export class Service<N extends { close(): Promise<void> }> {
  readonly #build: () => Promise<N>
  #node: N | undefined
  #started: Promise<N> | undefined
  #isClosed = false

  /** `build` creates the node. If it rejects, it must have released everything. */
  constructor(build: () => Promise<N>) {
    this.#build = build
  }

  /**
   * `open` lets the node serve; `close` of the node ends it at any time. A failed start releases everything and may be
   * repeated. Rejects with `going_away` if `close` was or is called.
   */
  async start(open: (node: N) => Promise<void>): Promise<N> {
    this.#assertOpen()
    this.#started ??= this.#start(open).catch((error: unknown) => {
      this.#started = undefined
      throw asRuncastError(error)
    })
    return this.#started
  }

  /** Also ends a start in progress. */
  readonly close = once(async () => {
    this.#isClosed = true
    // Not after the start: it may wait for Redis without limit.
    await this.#node?.close()
    await this.#started?.catch(() => {})
  })

  async #start(open: (node: N) => Promise<void>): Promise<N> {
    const node = await this.#build()
    this.#node = node
    try {
      this.#assertOpen()
      await open(node)
      this.#assertOpen()
      return node
    } catch (error) {
      await node.close()
      // What `open` throws once `close` was called is only a consequence of it.
      this.#assertOpen()
      throw error
    }
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new RuncastError('going_away', 'This hub or worker was closed; create a new one.')
  }
}

/** A function that acts once: later calls get the promise of the first one. */
export function once(act: () => Promise<void>): () => Promise<void> {
  let acting: Promise<void> | undefined
  return () => {
    acting ??= act()
    return acting
  }
}

/** Maps errors of settings and their files to `invalid`. Other errors, such as a port in use, are unchanged. */
export function asRuncastError(error: unknown): unknown {
  const isOfSettings = error instanceof ConfigError || error instanceof SettingsFileError
  return isOfSettings ? new RuncastError('invalid', { message: error.message, cause: error }) : error
}
