import { createHash, randomBytes, randomUUID } from 'node:crypto'
import type { Readable } from 'node:stream'
import type { Writer } from '../../core/entry.js'
import { storeClock } from '../../core/store-clock.js'
import { UserSlots } from '../../core/user-slots.js'
import { isArtifactName, isLinkUrl, isMediaType, mediaTypeOf } from '../../protocol/artifact.js'
import { isOverloaded, RuncastError } from '../../protocol/codes.js'
import type {
  ArtifactLimits,
  ArtifactRecord,
  ArtifactRecords,
  JobArtifacts,
  NewArtifact,
  Rejection,
  StoredJob,
} from '../../storage/artifact-records.js'
import { type ArtifactStore, type ByteRange, objectOf } from '../../storage/artifact-store.js'
import { ArtifactTally } from './artifact-tally.js'
import { UploadSlots } from './upload-slots.js'

/** How long a successful comparison of the markers is valid. */
const MARKED_MS = 10_000
/** Room that an upload of unknown size reserves at a time. */
const RESERVE_BYTES = 8 * 1024 * 1024
/** Interval of renewals of a reservation, and of whatever else `onProgress` renews. */
const RENEW_MS = 2000
/** Maximum open downloads of one user in one process. */
const MAX_DOWNLOADS_PER_USER = 32

export interface ArtifactServiceOptions {
  readonly store: ArtifactStore
  readonly records: ArtifactRecords
  readonly limits: ArtifactLimits
  /** How often a job with artifacts is checked until it ends. */
  readonly checkMs: number
  /** Whether child jobs, such as evaluations of an optimization, store artifacts. */
  readonly ofChildren: boolean
}

/** Where an artifact belongs, and who adds it. */
export interface ArtifactTarget {
  readonly id: string
  readonly writer: Writer
  readonly name: string
  /** Default: by the extension of the name. */
  readonly mediaType?: string | undefined
}

export interface Upload extends ArtifactTarget {
  readonly content: AsyncIterable<Uint8Array>
  /** The size, if it is known: content of another size is rejected. */
  readonly bytes?: number | undefined
  /** Ends the upload. */
  readonly signal?: AbortSignal
  /** Whether it waits for others to end, without a limit of its own, where too many are under way. */
  readonly isPatient?: boolean
  /** The user who sends it, where several share this process. */
  readonly sub?: string
  /** Called while content arrives, every `renewMs`. Its rejection ends the upload. */
  readonly onProgress?: () => Promise<void>
  /** Default: 2000 ms. */
  readonly renewMs?: number
}

/** An artifact to download. */
export interface Download {
  readonly artifact: ArtifactRecord & { readonly object: string; readonly bytes: number; readonly sha256: string }
  /** Null if the content is gone. */
  open(range?: ByteRange): Promise<Readable | null>
  /** See `ArtifactStore.link`. */
  link(): Promise<string | null>
}

/**
 * Stores and reads artifacts of jobs. The order of an upload is fixed: the record of the job says that the writer may
 * store; the job enters the expiry index; the user's room is reserved; the content is stored; the record names it. So
 * whatever process dies, the content is found again: by the index when the job has expired, or by `reconcile`.
 * Members reject with `no_store` if the store cannot be used, and with `overloaded` if Redis cannot.
 */
export class ArtifactService {
  readonly store: ArtifactStore
  readonly records: ArtifactRecords
  readonly #limits: ArtifactLimits
  readonly #checkMs: number
  readonly #ofChildren: boolean
  readonly tally = new ArtifactTally()
  /** Users with open downloads, if this process sends them. */
  readonly downloaders = new UserSlots(MAX_DOWNLOADS_PER_USER)
  readonly #slots: UploadSlots
  #markedUntil = Number.NEGATIVE_INFINITY

  constructor({ store, records, limits, checkMs, ofChildren }: ArtifactServiceOptions) {
    this.store = store
    this.#slots = new UploadSlots(store.maxUploads)
    this.records = records
    this.#limits = limits
    this.#checkMs = checkMs
    this.#ofChildren = ofChildren
  }

  /** Whether artifacts of this job are stored. Those of other child jobs are ignored. */
  stores({ parent }: { readonly parent: string | null }): boolean {
    return parent === null || this.#ofChildren
  }

  /** Uploads under way in this process. */
  get uploads(): number {
    return this.#slots.used
  }

  /** When a job that may store more is checked again, in epoch ms. */
  get nextCheck(): number {
    return storeClock.now() + this.#checkMs
  }

  /**
   * Rejects with `invalid`, `too_big`, `quota`, `stale_writer` if the writer does not compute the job, and unless it is
   * patient with `overloaded` and `rate_limited` if too many uploads are under way here, or too many of this user.
   */
  put(upload: Upload): Promise<NewArtifact> {
    return this.tally.count(this.#upload(upload))
  }

  async #upload(upload: Upload): Promise<NewArtifact> {
    const { name, bytes = 0 } = upload
    assertTarget(upload)
    if (bytes > this.#limits.maxBytes) throw tooBig(name, `${bytes} bytes`, 'MAX_ARTIFACT_BYTES', this.#limits.maxBytes)
    await this.#assertShared()
    const leave = await this.#slots.enter(upload)
    try {
      return await this.#put(upload)
    } finally {
      leave()
    }
  }

  /** Adds a link to content elsewhere. Rejects as `put`. */
  link(target: ArtifactTarget, url: string): Promise<NewArtifact> {
    return this.tally.count(this.#link(target, url))
  }

  async #link(target: ArtifactTarget, url: string): Promise<NewArtifact> {
    assertTarget(target)
    if (!isLinkUrl(url)) throw invalid('/url', 'an http:// or https:// URL without credentials, of at most 2048 characters')
    const { id, writer, name } = target
    const begun = await this.records.begin(id, writer, name)
    if (!begun.ok) throw this.#refusalOf(begun, name)
    const artifact = { ...recordOf(target), bytes: null, sha256: null, object: null, url }
    return this.#commit({ id, generation: begun.generation, owner: begun.owner }, target, artifact)
  }

  /** Null if there is no such job, or it belongs to another user by now. */
  async read(id: string, owner: string): Promise<JobArtifacts | null> {
    const found = await this.records.read(id)
    return found?.owner === owner ? found : null
  }

  /** A download of stored content. */
  download(artifact: ArtifactRecord): Download | null {
    const { object, bytes, sha256 } = artifact
    if (object === null || bytes === null || sha256 === null) return null
    return {
      artifact: { ...artifact, object, bytes, sha256 },
      open: async (range) => {
        const content = await this.#ofStore(this.store.open(object, range))
        if (content) this.tally.downloads.add('content')
        return content
      },
      link: async () => {
        const link = await this.#ofStore(this.store.link(object, { name: artifact.name, bytes }))
        if (link !== null) this.tally.downloads.add('link')
        return link
      },
    }
  }

  /**
   * Whether this process uses the store that hubs and workers share. Null while nothing was stored at all. A process
   * that does not share it must not remove anything.
   */
  async isShared(): Promise<boolean | null> {
    const known = await this.records.marker()
    if (known === null) return null
    return (await this.#ofStore(this.store.marker())) === known
  }

  async #put(upload: Upload): Promise<NewArtifact> {
    const { id, writer, name, bytes } = upload
    const begun = await this.records.begin(id, writer, name)
    if (!begun.ok) throw this.#refusalOf(begun, name)
    const { maxPerJob, maxBytesPerJob } = this.#limits
    const job: StoredJob = { id, generation: begun.generation, owner: begun.owner }
    if (begun.count >= maxPerJob) throw this.#refusalOf({ ok: false, reason: 'too_many' }, name)
    if (begun.bytes + (bytes ?? 0) > maxBytesPerJob) throw this.#refusalOf({ ok: false, reason: 'too_big' }, name)
    if (!(await this.records.isScheduled(job))) await this.records.schedule(job, this.nextCheck)
    const number = randomBytes(8).toString('hex')
    const object = objectOf(id, job.generation, name, number)
    try {
      const metered = new MeteredContent(upload, {
        maxBytes: Math.min(this.#limits.maxBytes, maxBytesPerJob - begun.bytes),
        reserve: (bytes) => this.#reserve(job.owner, object, name, bytes),
        tooBig: (size) =>
          size > this.#limits.maxBytes
            ? tooBig(name, 'its content', 'MAX_ARTIFACT_BYTES', this.#limits.maxBytes)
            : this.#refusalOf({ ok: false, reason: 'too_big' }, name),
      })
      await metered.begin()
      try {
        await this.store.put(object, metered.read())
      } catch (error) {
        throw metered.fault ?? this.#faultOf(error)
      }
      const artifact = { ...recordOf(upload), bytes: metered.bytes, sha256: metered.sha256, object, url: null }
      return await this.#commit(job, upload, artifact)
    } finally {
      // Otherwise it ends by itself.
      await this.records.release(job.owner, object).catch(() => {})
    }
  }

  async #commit(job: StoredJob, { id, writer, name }: ArtifactTarget, artifact: NewArtifact): Promise<NewArtifact> {
    const committed = await this.records.commit(id, writer, job.generation, artifact)
    if (!committed.ok) {
      // The caller gets the refusal. What cannot be removed now is removed by `reconcile`.
      if (artifact.object !== null) await this.store.remove([artifact.object]).catch(() => {})
      throw this.#refusalOf(committed, name)
    }
    // It is stored, whatever fails now: the next check of the job counts again, and `reconcile` removes what is left.
    if (artifact.object !== null) await this.records.count(job, committed).catch(() => {})
    await this.store.remove(committed.replaced).catch(() => {})
    return artifact
  }

  async #reserve(owner: string, upload: string, name: string, bytes: number): Promise<void> {
    const others = await this.records.reserve(owner, upload, bytes)
    if (!others) return
    const { maxBytesPerUser, maxPerUser } = this.#limits
    const text =
      others.count >= maxPerUser
        ? `${others.count} artifacts of this user, which reaches MAX_ARTIFACTS_PER_USER (${maxPerUser})`
        : `${others.bytes} bytes of this user and this one exceed MAX_ARTIFACT_BYTES_PER_USER (${maxBytesPerUser})`
    throw new RuncastError('quota', `artifact ${name}: ${text}; artifacts are removed with their jobs.`)
  }

  /** Rejects with `no_store` unless the hubs and workers of this Redis share this store. */
  async #assertShared(): Promise<void> {
    if (performance.now() < this.#markedUntil) return
    let known = await this.records.marker()
    let own = await this.#ofStore(this.store.marker())
    if (known === null) {
      own ??= await this.#ofStore(this.store.mark(randomUUID()))
      known = await this.records.mark(own)
    }
    if (own !== known) {
      const why = own === null ? 'has no marker' : 'has the marker of another one'
      throw new RuncastError(
        'no_store',
        `Artifacts are not accepted here: ${this.store.place} ${why}, so it is not the store of the other hubs and workers. Give all of them the same one.`,
      )
    }
    this.#markedUntil = performance.now() + MARKED_MS
  }

  async #ofStore<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer
    } catch (error) {
      throw this.#faultOf(error)
    }
  }

  #faultOf(error: unknown): unknown {
    if (error instanceof RuncastError) return error
    const why = error instanceof Error ? ('code' in error ? String(error.code) : error.name) : String(error)
    return new RuncastError('no_store', { message: `Artifacts cannot be stored or read: ${this.store.place}: ${why}`, cause: error })
  }

  #refusalOf({ reason }: Rejection, name: string): RuncastError {
    const { maxPerJob, maxBytesPerJob } = this.#limits
    switch (reason) {
      case 'too_many':
        return new RuncastError('too_big', `artifact ${name}: one more exceeds MAX_ARTIFACTS (${maxPerJob}) of the job`)
      case 'too_big':
        return tooBig(name, 'the artifacts of the job', 'MAX_ARTIFACT_BYTES_PER_JOB', maxBytesPerJob)
      default:
        return new RuncastError('stale_writer')
    }
  }
}

interface Meter {
  readonly maxBytes: number
  /** Reserves this many bytes in all. */
  reserve(bytes: number): Promise<void>
  /** The error for content that exceeds `maxBytes`. */
  tooBig(bytes: number): RuncastError
}

/** Content that is measured, hashed and checked against limits while it passes. */
class MeteredContent {
  readonly #upload: Upload
  readonly #meter: Meter
  readonly #hash = createHash('sha256')
  #reserved = 0
  #renewedAt = performance.now()
  #sha256 = ''
  bytes = 0
  /** Why the content ended early: of the content or its limits, not of the store. */
  fault: unknown

  constructor(upload: Upload, meter: Meter) {
    this.#upload = upload
    this.#meter = meter
  }

  get sha256(): string {
    return this.#sha256
  }

  begin(): Promise<void> {
    return this.#reserve(this.#upload.bytes ?? 0)
  }

  async *read(): AsyncIterable<Uint8Array> {
    const { content, bytes, signal, renewMs = RENEW_MS } = this.#upload
    try {
      for await (const chunk of content) {
        signal?.throwIfAborted()
        this.bytes += chunk.length
        if (this.bytes > this.#meter.maxBytes) throw this.#meter.tooBig(this.bytes)
        if (this.bytes > this.#reserved) await this.#grow()
        else if (performance.now() - this.#renewedAt >= renewMs) await this.#renew()
        this.#hash.update(chunk)
        yield chunk
      }
      signal?.throwIfAborted()
      if (bytes !== undefined && this.bytes !== bytes)
        throw new RuncastError('bad_request', `The content has ${this.bytes} bytes instead of ${bytes}.`)
      this.#sha256 = this.#hash.digest('hex')
    } catch (error) {
      this.fault = error
      throw error
    }
  }

  async #renew(): Promise<void> {
    this.#renewedAt = performance.now()
    try {
      await Promise.all([this.#meter.reserve(this.#reserved), this.#upload.onProgress?.()])
    } catch (error) {
      // The next one makes up for an outage of Redis.
      if (!isOverloaded(error)) throw error
    }
  }

  /** Reserves more than has arrived, unless only that much is left. */
  async #grow(): Promise<void> {
    try {
      await this.#reserve(this.bytes + RESERVE_BYTES)
    } catch (error) {
      if (!(error instanceof RuncastError && error.code === 'quota')) throw error
      await this.#reserve(this.bytes)
    }
  }

  async #reserve(bytes: number): Promise<void> {
    await this.#meter.reserve(bytes)
    this.#reserved = bytes
  }
}

function recordOf({ name, mediaType = mediaTypeOf(name) }: ArtifactTarget): Pick<NewArtifact, 'name' | 'mediaType' | 'createdAt'> {
  return { name, mediaType, createdAt: storeClock.stamp() }
}

function assertTarget({ name, mediaType }: ArtifactTarget): void {
  if (!isArtifactName(name)) throw invalid('/name', '1 to 128 of A-Z a-z 0-9 . _ -, beginning with a letter or digit')
  if (mediaType !== undefined && !isMediaType(mediaType)) throw invalid('/media_type', 'a media type such as text/csv')
}

function invalid(path: string, expected: string): RuncastError {
  return new RuncastError('invalid', { message: `artifact: ${path.slice(1)}: expected ${expected}`, issues: [{ path, expected }] })
}

function tooBig(name: string, what: string, setting: string, limit: number): RuncastError {
  return new RuncastError('too_big', `artifact ${name}: ${what} exceeds ${setting} (${limit})`)
}
