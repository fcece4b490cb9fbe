import { constants } from 'node:fs'
import { type FileHandle, mkdtemp, open, readdir, realpath, rm, stat } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join, resolve, sep } from 'node:path'
import type { Writer } from '../core/entry.js'
import type { ArtifactService, ArtifactTarget } from '../jobs/artifacts/artifact-service.js'
import { isOverloaded, RuncastError } from '../protocol/codes.js'
import { deferred, rejected } from './deferred.js'
import { type ArtifactContent, JobFailure, Stop } from './processor.js'
import { asError } from './thrown.js'

/** Names of the folders of attempts begin with this. */
const FOLDERS = 'runcast-run-'
const RETRY_MS = 500
/** How long an upload is repeated while Redis cannot be reached, and how often while the store cannot be used. */
const UNREACHABLE_MS = 60_000
const MAX_STORE_TRIES = 3
/** Errors that another attempt would repeat. */
const OF_THE_ARTIFACT: readonly string[] = ['invalid', 'too_big', 'quota']

export interface JobFilesOptions {
  readonly id: string
  readonly writer: Writer
  /** Null: artifacts are ignored, as those of evaluations. Undefined: there is no store. */
  readonly artifacts?: ArtifactService | null | undefined
  /** Ends uploads at once, also those that do not proceed. */
  readonly stopped: AbortSignal
  log(line: string): void
}

/** The folder of an attempt, and its artifacts. */
export class JobFiles {
  readonly #options: JobFilesOptions
  /** The last upload of each name. */
  readonly #uploads = new Map<string, Promise<void>>()
  #folder: Promise<string> | undefined
  #failure: Error | undefined

  constructor(options: JobFilesOptions) {
    this.#options = options
  }

  /** The folder of this attempt, created empty by the first call. */
  folder(): Promise<string> {
    this.#folder ??= mkdtemp(join(tmpdir(), folderPrefix(process.pid)))
    return this.#folder
  }

  /** See `AnyJob`. An unhandled rejection is ignored: `finish` rejects as well. */
  artifact(name: string, content: ArtifactContent): Promise<void> {
    const { artifacts, log } = this.#options
    if (artifacts === null) return Promise.resolve()
    if (this.#failure) return rejected(this.#failure)
    // Of two artifacts of one name the later one stands.
    const before = this.#uploads.get(name)?.catch(() => {})
    const store = async () => {
      await before
      await this.#store(artifacts, name, content)
    }
    const upload = unlessAborted(store(), this.#options.stopped).catch((thrown: unknown) => {
      const error = failureOf(thrown)
      if (content.optional) return log(`not stored: ${error.message}`)
      this.#failure ??= error
      throw error
    })
    upload.catch(() => {})
    this.#uploads.set(name, upload)
    const forget = () => {
      if (this.#uploads.get(name) === upload) this.#uploads.delete(name)
    }
    upload.then(forget, forget)
    return upload
  }

  /** Resolves when all artifacts are stored. Rejects with the first failure, also of an earlier one. */
  async finish(): Promise<void> {
    await Promise.allSettled(this.#uploads.values())
    if (this.#failure) throw this.#failure
  }

  /** Removes the folder, once the uploads under way have ended. Rejects if something in it cannot be removed. */
  async remove(): Promise<void> {
    await Promise.allSettled(this.#uploads.values())
    const folder = await this.#folder?.catch(() => undefined)
    if (folder !== undefined) await rm(folder, { recursive: true, force: true, maxRetries: 3 })
  }

  async #store(artifacts: ArtifactService | undefined, name: string, content: ArtifactContent): Promise<void> {
    if (!artifacts) throw new RuncastError('no_store', 'This worker has no store for artifacts.')
    let failingSince: number | undefined
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#storeOnce(artifacts, name, content)
      } catch (error) {
        failingSince ??= performance.now()
        const mayPass = isOverloaded(error)
          ? performance.now() - failingSince < UNREACHABLE_MS
          : error instanceof RuncastError && error.code === 'no_store' && error.cause !== undefined && tries < MAX_STORE_TRIES
        if (!mayPass || this.#options.stopped.aborted) throw error
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
    }
  }

  async #storeOnce(artifacts: ArtifactService, name: string, content: ArtifactContent): Promise<void> {
    const { id, writer, stopped: signal } = this.#options
    const target: ArtifactTarget = { id, writer, name, mediaType: content.mediaType }
    const how = { signal, isPatient: true }
    if ('url' in content) return void (await artifacts.link(target, content.url))
    if ('data' in content) {
      const data = typeof content.data === 'string' ? Buffer.from(content.data) : content.data
      return void (await artifacts.put({ ...target, content: piecesOf(data), bytes: data.byteLength, ...how }))
    }
    const { file, bytes } = await openWithin(await this.folder(), content.path)
    try {
      const stream = file.createReadStream({ start: 0, end: Math.max(bytes - 1, 0), autoClose: false })
      await artifacts.put({ ...target, content: bytes === 0 ? piecesOf(new Uint8Array()) : stream, bytes, ...how })
    } finally {
      await file.close()
    }
  }
}

/** The prefix names machine and process, so that another worker can tell whether the process still lives. */
function folderPrefix(pid: number): string {
  return `${FOLDERS}${hostname()}-${pid}-`
}

/**
 * Removes the folders of attempts whose worker process on this machine has died. `onFault`: one of them cannot be
 * removed; the others are.
 */
export async function removeLeftFolders(onFault: (error: unknown) => void): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const pid = Number(
      /^-(\d+)-/.exec(name.startsWith(`${FOLDERS}${hostname()}`) ? name.slice(FOLDERS.length + hostname().length) : '')?.[1],
    )
    if (pid > 0 && !isAlive(pid)) await rm(join(tmpdir(), name), { recursive: true, force: true }).catch(onFault)
  }
}

/** Rejects with the reason of the signal as soon as it is aborted, whatever becomes of the work. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = deferred<never>()
  const abort = () => reject(signal.reason)
  if (signal.aborted) abort()
  else signal.addEventListener('abort', abort)
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // It belongs to another user.
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

/**
 * Opens a regular file inside a folder, after links were resolved. A relative path begins at the folder. Throws
 * `invalid` for anything else.
 */
async function openWithin(folder: string, path: string): Promise<{ file: FileHandle; bytes: number }> {
  const root = await realpath(folder)
  const fail = (expected: string) =>
    new RuncastError('invalid', { message: `artifact: path ${path}: expected ${expected}`, issues: [{ path: '/path', expected }] })
  const real = await realpath(resolve(root, path)).catch(() => null)
  if (real === null) throw fail('an existing file')
  const isInside = (place: string) => place.startsWith(`${root}${sep}`)
  if (!isInside(real)) throw fail("a file in the job's own folder, after links are resolved")
  // Without following a link that was put there meanwhile, and without waiting for a named pipe.
  const file = await open(real, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(() => null)
  if (!file) throw fail('a file that can be read')
  try {
    const found = await file.stat()
    if (!found.isFile()) throw fail('a regular file')
    const now = await stat(real)
    if ((await realpath(real)) !== real || now.ino !== found.ino || now.dev !== found.dev) throw fail('a file that stays in place')
    return { file, bytes: found.size }
  } catch (error) {
    await file.close()
    throw error
  }
}

const PIECE_BYTES = 65_536

/** Data in pieces, so that a large one does not block the event loop. */
async function* piecesOf(data: Uint8Array): AsyncIterable<Uint8Array> {
  for (let at = 0; at < data.byteLength; at += PIECE_BYTES) yield data.subarray(at, at + PIECE_BYTES)
}

function failureOf(thrown: unknown): Error {
  if (!(thrown instanceof RuncastError)) return asError(thrown)
  if (thrown.code === 'stale_writer') return new Stop('lost')
  return OF_THE_ARTIFACT.includes(thrown.code) ? new JobFailure('solver_error', thrown.message, { cause: thrown }) : thrown
}
