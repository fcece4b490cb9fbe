import { ConfigError } from '../config/config.js'
import { SettingsFileError } from '../config/settings-file.js'
import { RuncastError } from '../protocol/codes.js'

/** Starts a hub or worker at most once at a time, and closes it once. */
export class Service<N extends { close(): Promise<void> }> {
  readonly #build: () => Promise<N>
  #started: Promise<N> | undefined
  #closing: Promise<void> | undefined

  /** If `build` rejects, it must have released everything. */
  constructor(build: () => Promise<N>) {
    this.#build = build
  }

  /** A failed start may be repeated. Rejects with `going_away` after `close`. */
  start(): Promise<N> {
    if (this.#closing) return Promise.reject(new RuncastError('going_away', 'This hub or worker was closed; create a new one.'))
    this.#started ??= this.#build().catch((error: unknown) => {
      this.#started = undefined
      throw asRuncastError(error)
    })
    return this.#started
  }

  /** May be called during the start. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const node = await this.#started?.catch(() => undefined)
    await node?.close()
  }
}

/** Maps errors of settings and their files to `invalid`. Other errors, such as a port in use, are unchanged. */
export function asRuncastError(error: unknown): unknown {
  const isOfSettings = error instanceof ConfigError || error instanceof SettingsFileError
  return isOfSettings ? new RuncastError('invalid', { message: error.message, cause: error }) : error
}
