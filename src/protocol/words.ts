import Type, { type Static } from 'typebox'
import { TurnState } from './turn-fields.js'

/** Well-formed text of one line, without control characters, which terminals would obey. */
const lineOf = (maxLength: number) => `^[^\\u0000-\\u001f\\u007f-\\u009f\\ud800-\\udfff]{1,${maxLength}}$`

/** Maximum bytes of `metadata` as JSON in UTF-8. */
export const MAX_METADATA_BYTES = 4096

export const Title = Type.String({ pattern: lineOf(200), description: 'what people call the job: one line, at most 200 characters' })
export const Tag = Type.String({ pattern: lineOf(64) })
export const Tags = Type.Array(Tag, { maxItems: 16, uniqueItems: true, description: 'at most 16 tags of at most 64 characters' })
export const Metadata = Type.Object(
  {},
  { additionalProperties: true, description: `any fields; at most ${MAX_METADATA_BYTES} bytes of JSON`, examples: [{ ticket: 4711 }] },
)

/** Words about a job, as a submit gives them. They are no part of its input. */
export const WordsFields = { title: Type.Optional(Title), tags: Type.Optional(Tags), metadata: Type.Optional(Metadata) }

/** Words as a request gives them. */
export interface Words {
  readonly title?: string
  readonly tags?: readonly string[]
  readonly metadata?: object
}

/** Changes of words: a field that is absent stays as it is, null removes it. */
export const WordsPatch = Type.Object(
  {
    title: Type.Optional(Type.Union([Title, Type.Null()])),
    tags: Type.Optional(Type.Union([Tags, Type.Null()])),
    metadata: Type.Optional(Type.Union([Metadata, Type.Null()])),
  },
  {
    title: 'WordsPatch',
    additionalProperties: false,
    minProperties: 1,
    description: 'A field that is absent stays as it is; null removes it.',
    examples: [{ title: 'horn at 20 kHz', tags: ['titanium'] }],
  },
)
export type WordsPatch = Static<typeof WordsPatch>

/** Fields of a state: the words that the job has, its turn, and the parent of a child job. */
export const AboutFields = {
  ...WordsFields,
  ...TurnState,
  parent_id: Type.Optional(Type.String({ description: 'the parent of a child job' })),
}

/** All words of a job, in a message about a change. */
export const ChangedWords = {
  title: Type.Union([Title, Type.Null()]),
  tags: Tags,
  metadata: Type.Union([Metadata, Type.Null()]),
}
