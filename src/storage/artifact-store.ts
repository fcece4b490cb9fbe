import type { Readable } from 'node:stream'

/** A range of bytes, both ends included. */
export interface ByteRange {
  readonly first: number
  readonly last: number
}

/** An object as `list` finds it. */
export interface StoredObject {
  readonly object: string
  readonly bytes: number
  /** When it was stored, in epoch ms by the clock of the store. */
  readonly storedAt: number
}

/**
 * Where the content of artifacts is. An object is named `<job>/<generation>/<name>~<upload>` (`objectOf`) and never
 * changes: a second artifact of the same name is another object. So a download may continue on another hub. Members
 * reject with the error of the file system or service.
 */
export interface ArtifactStore {
  /** What and where it is, for messages: `the folder /data/artifacts`. */
  readonly place: string
  /** Maximum concurrent calls of `put` in one process, which bounds its memory. */
  readonly maxUploads: number
  /** The identity of this place; null if it has none. */
  marker(): Promise<string | null>
  /** Gives this place an identity, unless it has one. Resolves to the identity that it has. */
  mark(marker: string): Promise<string>
  /** Stores an object. If it rejects, also with what `content` throws, the object does not exist. */
  put(object: string, content: AsyncIterable<Uint8Array>): Promise<void>
  /** The content, or a part of it; null if there is no such object. */
  open(object: string, range?: ByteRange): Promise<Readable | null>
  /**
   * A URL from which anybody can download the object for at most a minute, as a file of this name; null if hubs should
   * send the content themselves.
   */
  link(object: string, file: { readonly name: string; readonly bytes: number }): Promise<string | null>
  /** Removes objects. An object that does not exist is ignored. */
  remove(objects: readonly string[]): Promise<void>
  /** All objects, also those of unfinished uploads; or only those of one generation: `<job>/<generation>`. */
  list(under?: string): AsyncIterable<StoredObject>
  close(): void
}

/** Name of an object. `upload`: hexadecimal, a new one for each upload. */
export function objectOf(id: string, generation: string, name: string, upload: string): string {
  return `${id}/${generation}/${name}~${upload}`
}

const OBJECT = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\/[0-9a-f]{12}\/[A-Za-z0-9][A-Za-z0-9._-]{0,127}~[0-9a-f]{16}(?:\.part)?$/

/** Whether a name may be that of an object. Anything else in a store is not runcast's. */
export function isObject(name: string): boolean {
  return OBJECT.test(name)
}

/** `REDIS_PREFIX` as a part of a path: unlike a prefix, it is never `.` or `..`. */
export function pathOfPrefix(prefix: string): string {
  return /^\.+$/.test(prefix) ? prefix.replaceAll('.', '%2E') : prefix.replaceAll(':', '%3A')
}
