import { queueOf } from '../../core/kind.js'
import { RuncastError } from '../../protocol/codes.js'
import type { Claim } from '../../queue/claims.js'
import type { NewArtifact } from '../../storage/artifact-records.js'
import type { ArtifactService } from '../artifacts/artifact-service.js'
import { type ClaimPorts, countPost, type Reporter, reportable } from './claim-post.js'

/** An artifact that an external worker adds to its job: content, or a link. */
export interface ClaimUpload {
  readonly round: number
  readonly token: number
  readonly name: string
  readonly mediaType: string | undefined
  readonly content: AsyncIterable<Uint8Array>
  /** The size of the content, if the worker has named it. */
  readonly bytes: number | undefined
  /** Of a link, which has no content. */
  readonly url: string | undefined
}

/** Renewals of the lease within its lifetime while content arrives. */
const RENEWALS_PER_LEASE = 4

/**
 * Stores an artifact of an external worker. Content that arrives renews the lease, so that a large upload needs no
 * other posts. Null for a job whose artifacts are ignored. Rejects with `stale_writer`, `not_found`, `forbidden`,
 * `rate_limited`, and as `ArtifactService.put`.
 */
export async function handleUpload(
  ports: ClaimPorts & { readonly artifacts: ArtifactService },
  id: string,
  by: Reporter,
  { round, token, url, ...upload }: ClaimUpload,
): Promise<NewArtifact | null> {
  const { broker, claims, artifacts, lockMs } = ports
  const state = await reportable(ports, id, by)
  const claim: Claim = { queue: queueOf(state), id, round, token }
  const known = await claims.read(claim)
  if (!known || known.by !== by.sub) throw new RuncastError('stale_writer')
  await countPost(ports, claim, state)
  const writer = { round, token, n: 0 }
  const renew = async () => {
    ports.markActive(claim.queue)
    if (!(await claims.renew(claim, known.lock))) throw new RuncastError('stale_writer')
    const beat = await broker.heartbeat(id, writer, true)
    if (!beat.ok) throw new RuncastError('stale_writer')
  }
  await renew()
  if (!artifacts.stores(state)) return null
  if (url !== undefined) return artifacts.link({ id, writer, ...upload }, url)
  return artifacts.put({ id, writer, ...upload, sub: by.sub, onProgress: renew, renewMs: lockMs / RENEWALS_PER_LEASE })
}
