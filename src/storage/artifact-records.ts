import type { Writer } from '../core/entry.js'
import type { Artifact } from '../protocol/artifact.js'

/** What Redis knows about an artifact. */
export interface ArtifactRecord {
  readonly name: string
  readonly mediaType: string
  /** Null for a link, like `sha256` and `object`. */
  readonly bytes: number | null
  readonly sha256: string | null
  /** Its content in the `ArtifactStore`. */
  readonly object: string | null
  /** Of a link; null for content. */
  readonly url: string | null
  /** ISO 8601. */
  readonly createdAt: string
  /** How many artifacts the attempt had stored with this one, replaced ones included. */
  readonly n: number
}

/** An artifact that is not stored yet. */
export type NewArtifact = Omit<ArtifactRecord, 'n'>

/** An artifact on the wire. `path`: of the artifacts of its job. */
export function artifactOf({ name, mediaType, bytes, sha256, url, createdAt }: NewArtifact, path: string): Artifact {
  return { name, media_type: mediaType, bytes, sha256, url: url ?? `${path}/${name}`, created_at: createdAt }
}

/** Why a writer may not store an artifact. `not_running`: its attempt has ended. The others are as for a write. */
export type ArtifactRejection = 'unknown_job' | 'stale_round' | 'stale_writer' | 'stale_write' | 'not_running' | 'too_many' | 'too_big'

export type Rejection = { readonly ok: false; readonly reason: ArtifactRejection }

/** An upload that may begin. */
export interface Begun {
  readonly ok: true
  /** Names the artifacts of this job: a job that later has the same id has another one. */
  readonly generation: string
  readonly owner: string
  /** Of the attempt's artifacts, without one of the same name. */
  readonly count: number
  readonly bytes: number
}

export interface Committed {
  readonly ok: true
  /** Of all artifacts of the job. */
  readonly count: number
  readonly bytes: number
  /** Objects that no artifact has any more. */
  readonly replaced: readonly string[]
}

/** The artifacts of a job. */
export interface JobArtifacts {
  readonly owner: string
  /** Null while the job has stored none. */
  readonly generation: string | null
  /** Those of the current attempt, by name. */
  readonly artifacts: readonly ArtifactRecord[]
  /** All objects that the job refers to. */
  readonly objects: readonly string[]
  readonly count: number
  readonly bytes: number
  readonly isFinal: boolean
  /** When the job expires, in ms from now. */
  readonly ttlMs: number
}

/** The artifacts of one job in the `ArtifactStore`, as the sweeper knows them. */
export interface StoredJob {
  readonly id: string
  readonly generation: string
  readonly owner: string
}

export interface ArtifactLimits {
  /** Per artifact. */
  readonly maxBytes: number
  readonly maxPerJob: number
  readonly maxBytesPerJob: number
  readonly maxPerUser: number
  readonly maxBytesPerUser: number
}

/** What a user has stored, when a reservation exceeds a limit. */
export interface UserTotals {
  readonly bytes: number
  readonly count: number
}

/**
 * The records of artifacts. They belong to the record of their job and expire with it. Members reject with `overloaded`
 * if Redis cannot be reached.
 */
export interface ArtifactRecords {
  /** Fenced like a write of this writer: by round and token. */
  begin(id: string, writer: Writer, name: string): Promise<Begun | Rejection>
  /**
   * Adds an artifact to the writer's attempt, or replaces the one of its name, and publishes it
   * (`TelemetryStore`). Fenced in the same way.
   */
  commit(id: string, writer: Writer, generation: string, artifact: NewArtifact): Promise<Committed | Rejection>
  /** Null if there is no such job. */
  read(id: string): Promise<JobArtifacts | null>
  /**
   * Reserves room for an upload of a user, for some seconds: call it again to renew it or for more. Resolves to null,
   * or to what the user has without this upload if a limit does not allow it.
   */
  reserve(owner: string, upload: string, bytes: number): Promise<UserTotals | null>
  /** Ends a reservation. */
  release(owner: string, upload: string): Promise<void>
  /** Records what a job has stored, for its owner; without totals nothing any more. */
  count(job: StoredJob, totals?: { readonly bytes: number; readonly count: number }): Promise<void>
  /** Adds a job to the expiry index, or moves it: it is checked at this time (epoch ms). */
  schedule(job: StoredJob, at: number): Promise<void>
  /** Jobs whose time has come. */
  due(now: number, limit: number): Promise<readonly StoredJob[]>
  isScheduled(job: Pick<StoredJob, 'id' | 'generation'>): Promise<boolean>
  unschedule(job: StoredJob): Promise<void>
  /** The identity of the store that hubs and workers share; null before the first upload. */
  marker(): Promise<string | null>
  /** Sets it, unless there is one. Resolves to the one that there is. */
  mark(marker: string): Promise<string>
  /** Whether this process is the first to ask within this time. */
  isFirstIn(ms: number): Promise<boolean>
}
