import { Readable } from 'node:stream'
import { ArtifactService } from '../../src/jobs/artifacts/artifact-service.js'
import type { ArtifactRecords, Committed, NewArtifact, Rejection } from '../../src/storage/artifact-records.js'
import type { ArtifactStore } from '../../src/storage/artifact-store.js'

/** Artifacts of jobs of alice, in memory, and what a test replaces of them. */
export function memoryArtifacts({ maxUploads = 2, store = {}, records = {} }: Changes = {}) {
  const objects = new Map<string, Buffer>()
  const named: NewArtifact[] = []
  let marker: string | null = null
  const kept: ArtifactStore = {
    place: 'the memory',
    maxUploads,
    marker: async () => marker,
    mark: async (own) => {
      marker ??= own
      return marker
    },
    put: async (object, content) => {
      const pieces: Uint8Array[] = []
      for await (const piece of content) pieces.push(piece)
      objects.set(object, Buffer.concat(pieces))
    },
    open: async (object) => {
      const content = objects.get(object)
      return content ? Readable.from([content]) : null
    },
    link: async () => null,
    remove: async (gone) => {
      for (const object of gone) objects.delete(object)
    },
    async *list() {
      for (const [object, { length: bytes }] of objects) yield { object, bytes, storedAt: 0 }
    },
    close: () => {},
    ...store,
  }
  const known: ArtifactRecords = {
    begin: async () => ({ ok: true, generation: '0'.repeat(12), owner: 'alice', count: named.length, bytes: 0 }),
    commit: async (_id, _writer, _generation, artifact): Promise<Committed | Rejection> => {
      named.push(artifact)
      return { ok: true, count: named.length, bytes: 0, replaced: [] }
    },
    read: async () => null,
    reserve: async () => null,
    release: async () => {},
    count: async () => {},
    schedule: async () => {},
    due: async () => [],
    isScheduled: async () => true,
    unschedule: async () => {},
    marker: async () => marker,
    mark: kept.mark,
    isFirstIn: async () => false,
    ...records,
  }
  const most = 1_000_000
  const limits = { maxBytes: most, maxPerJob: most, maxBytesPerJob: most, maxPerUser: most, maxBytesPerUser: most }
  const service = new ArtifactService({ store: kept, records: known, limits, checkMs: 1000, ofChildren: false })
  return { service, objects, named }
}

interface Changes {
  readonly maxUploads?: number
  readonly store?: Partial<ArtifactStore>
  readonly records?: Partial<ArtifactRecords>
}
