import { ConfigError } from '../config/config.js'
import { SettingsFileError } from '../config/settings-file.js'
import { RuncastError } from '../protocol/codes.js'

/** Started at most once at a time, and closed once: what a program has of a hub or a worker. */
export class Service<N extends { close(): Promise<void> }> {
  readonly #build: () => Promise<N>
  #started: Promise<N> | undefined
  #closing: Promise<void> | undefined

  /** `build` leaves nothing behind where it rejects. */
  constructor(build: () => Promise<N>) {
    this.#build = build
  }

  /** Where it has failed it may be tried again. Rejects with `going_away` after `close`. */
  start(): Promise<N> {
    if (this.#closing) return Promise.reject(new RuncastError('going_away', 'It was closed.'))
    this.#started ??= this.#build().catch((error: unknown) => {
      this.#started = undefined
      throw asRuncastError(error)
    })
    return this.#started
  }

  /** Also while it starts. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const node = await this.#started?.catch(() => undefined)
    await node?.close()
  }
}

/** What is wrong with settings and their files is `invalid`; any other error is what it is, such as a port that is in use. */
function asRuncastError(error: unknown): unknown {
  const isOfSettings = error instanceof ConfigError || error instanceof SettingsFileError
  return isOfSettings ? new RuncastError('invalid', { message: error.message, cause: error }) : error
}
