import type { Artifact } from '../protocol/artifact.js'
import { RuncastError } from '../protocol/codes.js'
import { type HubAccess, openHub } from './hub-access.js'

/** An artifact of a job. Times are ISO 8601 in UTC. */
export interface JobArtifact {
  readonly name: string
  readonly mediaType: string
  /** Null for a link, like `sha256`. */
  readonly bytes: number | null
  readonly sha256: string | null
  /**
   * Where its content is: on a hub, which needs the token of the user; a watch and a client over Redis know only the
   * path. Of a link the URL elsewhere, as the job has named it: show it as text, and follow it with `rel="noopener"`.
   */
  readonly url: string
  readonly createdAt: string
}

/** An artifact of the wire. Its `url` stays as it is. */
export function jobArtifactOf({ name, media_type: mediaType, bytes, sha256, url, created_at: createdAt }: Artifact): JobArtifact {
  return { name, mediaType, bytes, sha256, url, createdAt }
}

/** How often a download that breaks off is continued without a byte in between. */
const MAX_TRIES = 5
const PAUSE_MS = 250

/**
 * The content of an artifact at this path of a hub, in pieces. A download that breaks off continues where it was, maybe
 * on another hub. Rejects as `callHub`, with `internal` if the artifact was replaced meanwhile, and
 * with `overloaded` if it broke off and cannot be continued.
 */
export async function* downloadFrom(hub: HubAccess, path: string, signal?: AbortSignal): AsyncGenerator<Uint8Array, void> {
  let at = 0
  let tries = 0
  let etag: string | null = null
  for (;;) {
    let cause: unknown
    try {
      const headers: Record<string, string> = at > 0 && etag !== null ? { range: `bytes=${at}-`, 'if-range': etag } : {}
      const response = await openHub(hub, path, headers, signal)
      if (at > 0 && response.status !== 206) throw replaced()
      etag = response.headers.get('etag')
      const size = at + Number(response.headers.get('content-length') ?? Number.NaN)
      for await (const piece of piecesOf(response)) {
        at += piece.length
        tries = 0
        yield piece
      }
      // A proxy may end a response early without an error.
      if (at === size || Number.isNaN(size)) return
    } catch (error) {
      signal?.throwIfAborted()
      if (error instanceof RuncastError && !(error.code === 'overloaded' && at > 0)) throw error
      if (tries >= MAX_TRIES) throw new RuncastError('overloaded', { message: 'The download broke off.', cause: error })
      cause = error
    }
    // As behind a proxy that removes it.
    if (at > 0 && etag === null)
      throw new RuncastError('overloaded', { message: 'The download broke off, and has no ETag by which it could continue.', cause })
    tries += 1
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS * tries))
  }
}

function replaced(): RuncastError {
  return new RuncastError('internal', 'The artifact was replaced during its download; start again.')
}

/** Not every browser can iterate over a stream. */
async function* piecesOf({ body }: Response): AsyncGenerator<Uint8Array, void> {
  const reader = body?.getReader()
  if (!reader) return
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      yield value
    }
  } finally {
    // Also if the caller wants no more.
    await reader.cancel().catch(() => {})
  }
}
