import { Tally } from '../../core/tally.js'
import { type CodeName, RuncastError } from '../../protocol/codes.js'
import type { NewArtifact } from '../../storage/artifact-records.js'

/** Counters of the artifacts that this process has stored and sent. */
export class ArtifactTally {
  /** `stored`, or why it was rejected; `broken`: its content broke off. */
  readonly stored = new Tally<[result: 'stored' | 'broken' | CodeName]>([['stored'], ['too_big'], ['quota'], ['no_store']])
  /** Bytes of the stored ones. */
  bytes = 0
  /** `content`: sent by this process. `link`: answered with a link to the store. */
  readonly downloads = new Tally<[by: 'content' | 'link']>([['content'], ['link']])

  /** Counts how an upload ends. */
  async count(upload: Promise<NewArtifact>): Promise<NewArtifact> {
    try {
      const artifact = await upload
      this.stored.add('stored')
      this.bytes += artifact.bytes ?? 0
      return artifact
    } catch (error) {
      this.stored.add(error instanceof RuncastError ? error.code : 'broken')
      throw error
    }
  }
}
