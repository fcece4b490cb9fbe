import Type, { type Static } from 'typebox'
import { Nullable } from './json-schema.js'
import { Timestamp } from './life-fields.js'

/** Pattern of the names of artifacts. A name is also part of a path. */
export const ARTIFACT_NAME = '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$'
const NAME = new RegExp(ARTIFACT_NAME)
const TOKEN = "[A-Za-z0-9!#$&^_.+'*-]+"
const MEDIA_TYPE = new RegExp(`^${TOKEN}/${TOKEN}(?:; ?${TOKEN}=${TOKEN})*$`)
const MAX_MEDIA_TYPE = 127
/** Longest URL of a link. */
const MAX_URL = 2048

/** Media type of a file whose content is not known. */
export const ANY_MEDIA_TYPE = 'application/octet-stream'

/** Media types by the last extension of a name. */
const MEDIA_TYPES: Readonly<Record<string, string>> = {
  csv: 'text/csv',
  gif: 'image/gif',
  gz: 'application/gzip',
  htm: 'text/html',
  html: 'text/html',
  jpeg: 'image/jpeg',
  jpg: 'image/jpeg',
  json: 'application/json',
  jsonl: 'application/jsonl',
  log: 'text/plain',
  md: 'text/markdown',
  parquet: 'application/vnd.apache.parquet',
  pdf: 'application/pdf',
  png: 'image/png',
  svg: 'image/svg+xml',
  tsv: 'text/tab-separated-values',
  txt: 'text/plain',
  vtk: 'application/vnd.vtk',
  webp: 'image/webp',
  xml: 'application/xml',
  yaml: 'application/yaml',
  yml: 'application/yaml',
  zip: 'application/zip',
}

export const ArtifactName = Type.String({ pattern: ARTIFACT_NAME, description: 'name of the artifact' })

/** An artifact of a job, as hubs list it. */
export const Artifact = Type.Object(
  {
    name: ArtifactName,
    media_type: Type.String(),
    bytes: Nullable(Type.Integer({ minimum: 0 }), { description: 'size; null for a link' }),
    sha256: Nullable(Type.String({ pattern: '^[0-9a-f]{64}$' }), { description: 'digest of the content; null for a link' }),
    url: Type.String({
      description: 'where its content is: a path on this server; for a link, an http(s) URL that hubs do not request',
    }),
    created_at: Timestamp,
  },
  { title: 'Artifact' },
)
export type Artifact = Static<typeof Artifact>

const Count = Type.Integer({
  minimum: 1,
  description: 'how many artifacts the attempt had stored with this one, replaced ones included',
})
const Epoch = Type.String({ description: 'names the attempt that they belong to; another epoch is another list' })

/** Fields of the message about a stored artifact, in either dialect. */
export const ArtifactFields = { epoch: Epoch, ...Artifact.properties, n: Count }

/** Fields of the message with all artifacts of an attempt, in either dialect. */
export const ArtifactsFields = {
  epoch: Epoch,
  n: Type.Integer({ minimum: 0, description: '`n` of the newest artifact; 0 if there is none' }),
  artifacts: Type.Array(Type.Object({ ...Artifact.properties, n: Count }, { title: 'NumberedArtifact' }), {
    description: 'in the order in which they were stored',
  }),
}

/** An artifact as messages have it. */
export type NumberedArtifact = Artifact & { readonly n: number }

export function isArtifactName(name: unknown): name is string {
  return typeof name === 'string' && NAME.test(name)
}

export function isMediaType(text: unknown): text is string {
  return typeof text === 'string' && text.length <= MAX_MEDIA_TYPE && MEDIA_TYPE.test(text)
}

/** Whether a text may be the URL of a link: http or https, without credentials. */
export function isLinkUrl(text: unknown): text is string {
  if (typeof text !== 'string' || text.length > MAX_URL || !URL.canParse(text)) return false
  const { protocol, username, password } = new URL(text)
  return (protocol === 'https:' || protocol === 'http:') && username === '' && password === ''
}

/** The media type that the extension of a name suggests. */
export function mediaTypeOf(name: string): string {
  const extension = name.slice(name.lastIndexOf('.') + 1).toLowerCase()
  return (Object.hasOwn(MEDIA_TYPES, extension) && MEDIA_TYPES[extension]) || ANY_MEDIA_TYPE
}
