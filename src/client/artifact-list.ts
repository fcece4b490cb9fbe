import type { NumberedArtifact } from '../protocol/artifact.js'
import { type JobArtifact, jobArtifactOf } from './download.js'
import type { Received } from './hub-socket.js'

/** A message with a stored artifact, in either dialect. */
export interface ArtifactMessage extends NumberedArtifact {
  readonly type: 'artifact' | 'process_artifact'
  readonly epoch: string
}

/** A message with all artifacts of the current attempt, in either dialect. */
export interface ArtifactsMessage {
  readonly type: 'artifacts' | 'process_artifacts'
  readonly epoch: string
  readonly n: number
  readonly artifacts: readonly NumberedArtifact[]
}

export function isArtifactMessage(message: Received): message is ArtifactMessage | ArtifactsMessage {
  const { epoch, n, name, artifacts } = message as Partial<ArtifactMessage & ArtifactsMessage>
  if (typeof epoch !== 'string' || typeof n !== 'number') return false
  if (message.type === 'artifact' || message.type === 'process_artifact') return typeof name === 'string'
  return (message.type === 'artifacts' || message.type === 'process_artifacts') && Array.isArray(artifacts)
}

/**
 * The artifacts of the current attempt of a job, over any number of connections. `n` of a message proves that none is
 * missing before it.
 */
export class ArtifactList {
  #epoch: string | undefined
  #n = 0
  #view: ReadonlyMap<string, JobArtifact> = new Map()

  /** By name, in the order in which they were stored; immutable. */
  get view(): ReadonlyMap<string, JobArtifact> {
    return this.#view
  }

  /** Returns the artifacts that are new, in order, or `gap` if one before it is missing: then nothing was changed. */
  add(message: ArtifactMessage | ArtifactsMessage): readonly JobArtifact[] | 'gap' {
    const { epoch, n } = message
    const known = epoch === this.#epoch ? this.#n : 0
    if ('artifacts' in message) {
      this.#epoch = epoch
      this.#n = n
      this.#view = new Map(message.artifacts.map((artifact) => [artifact.name, jobArtifactOf(artifact)]))
      return message.artifacts.filter((artifact) => artifact.n > known).map(jobArtifactOf)
    }
    if (epoch !== this.#epoch || n > known + 1) return 'gap'
    if (n <= known) return []
    const added = jobArtifactOf(message)
    const others = [...this.#view].filter(([name]) => name !== added.name)
    this.#n = n
    this.#view = new Map([...others, [added.name, added]])
    return [added]
  }
}
