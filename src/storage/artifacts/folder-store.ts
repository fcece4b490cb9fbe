import { createReadStream } from 'node:fs'
import { link, mkdir, open, opendir, readFile, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { type ArtifactStore, type ByteRange, isObject, pathOfPrefix, type StoredObject } from '../artifact-store.js'

export interface FolderStoreOptions {
  /** The folder that hubs and workers share. It is created by the first upload. */
  readonly folder: string
  /** `REDIS_PREFIX`. */
  readonly prefix: string
  /** Number of the Redis database. */
  readonly database: number
}

/** A file that is being written. */
const PART = '.part'
const MARKER = '.store'
/** An object can be removed together with the empty folder that the next one was about to use. */
const TRIES = 10
/** The owner writes, the group may read. */
const [FILE_MODE, FOLDER_MODE] = [0o640, 0o750]

/**
 * Artifacts as files below a folder: `<folder>/<prefix>/<database>/<job>/<generation>/<name>~<upload>`. Objects appear
 * by a rename after they were written to disk, so that no reader sees a part of one.
 */
export class FolderStore implements ArtifactStore {
  readonly place: string
  readonly maxUploads = 64
  readonly #root: string

  constructor({ folder, prefix, database }: FolderStoreOptions) {
    this.place = `the folder ${folder} (ARTIFACTS_DIR)`
    this.#root = join(resolve(folder), pathOfPrefix(prefix), String(database))
  }

  async marker(): Promise<string | null> {
    return orNull(readFile(join(this.#root, MARKER), 'utf8'))
  }

  async mark(marker: string): Promise<string> {
    await mkdir(this.#root, { recursive: true, mode: FOLDER_MODE })
    // By a link, so that no process reads a part of it, and the first one wins.
    const own = join(this.#root, `${MARKER}.${marker}`)
    await writeFile(own, marker, { mode: FILE_MODE })
    try {
      await link(own, join(this.#root, MARKER))
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error
    } finally {
      await rm(own, { force: true })
    }
    return readFile(join(this.#root, MARKER), 'utf8')
  }

  async put(object: string, content: AsyncIterable<Uint8Array>): Promise<void> {
    const path = this.#pathOf(object)
    const part = `${path}${PART}`
    const file = await this.#create(part)
    try {
      await writeFile(file, content)
      // Its data must be on disk before the object appears.
      await file.sync()
      await file.close()
      await rename(part, path)
    } catch (error) {
      await file.close().catch(() => {})
      await this.remove([`${object}${PART}`, object]).catch(() => {})
      throw error
    }
  }

  async open(object: string, range?: ByteRange): Promise<Readable | null> {
    // Opened before the answer begins, so that it stays readable if the object is removed meanwhile.
    const file = await orNull(open(this.#pathOf(object), 'r'))
    if (!file) return null
    return createReadStream('', { fd: file, ...(range && { start: range.first, end: range.last }) })
  }

  async link(): Promise<null> {
    return null
  }

  async remove(objects: readonly string[]): Promise<void> {
    for (const object of objects) {
      const path = this.#pathOf(object)
      await rm(path, { force: true })
      await removeEmpty([dirname(path), dirname(dirname(path))])
    }
  }

  async *list(under?: string): AsyncIterable<StoredObject> {
    if (under !== undefined) return yield* this.#filesOf(under)
    for await (const id of namesIn(this.#root)) {
      for await (const generation of namesIn(join(this.#root, id))) yield* this.#filesOf(`${id}/${generation}`)
    }
  }

  close(): void {}

  async *#filesOf(under: string): AsyncIterable<StoredObject> {
    for await (const name of namesIn(join(this.#root, under))) {
      const object = `${under}/${name}`
      const found = isObject(object) ? await orNull(stat(this.#pathOf(object))) : null
      if (found?.isFile()) yield { object, bytes: found.size, storedAt: found.mtimeMs }
    }
  }

  async #create(part: string) {
    for (let tries = 1; ; tries += 1) {
      try {
        // A removal may take away a folder on the way, or before the file is there.
        await mkdir(dirname(part), { recursive: true, mode: FOLDER_MODE })
        return await open(part, 'wx', FILE_MODE)
      } catch (error) {
        if (codeOf(error) !== 'ENOENT' || tries === TRIES) throw error
      }
    }
  }

  #pathOf(object: string): string {
    if (!isObject(object)) throw new TypeError(`${object} is no object of a store`)
    return join(this.#root, object)
  }
}

/** Names in a folder, one by one; none if it does not exist. */
async function* namesIn(folder: string): AsyncIterable<string> {
  const found = await orNull(opendir(folder))
  if (found) for await (const { name } of found) yield name
}

/** Removes folders that are empty. */
async function removeEmpty(folders: readonly string[]): Promise<void> {
  for (const folder of folders) {
    try {
      await rmdir(folder)
    } catch (error) {
      if (!['ENOTEMPTY', 'EEXIST', 'ENOENT'].includes(codeOf(error))) throw error
    }
  }
}

/** Null if there is no such file. */
async function orNull<T>(reading: Promise<T>): Promise<T | null> {
  try {
    return await reading
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error))) return null
    throw error
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
