import Type, { type Static } from 'typebox'
import { KIND_FIELDS } from '../core/define-kind.js'

const { name, attempts, timeoutS, idField, phases } = KIND_FIELDS
const Schema = Type.Object({}, { additionalProperties: true })

/** A kind of job for workers over HTTP, in any language. */
export const KindEntry = Type.Object(
  {
    name,
    dialect: Type.Enum(['process', 'run'], { default: 'process' }),
    /** JSON Schemas of objects. Default: any object. */
    input: Type.Optional(Schema),
    /** Only in the process dialect. */
    result: Type.Optional(Schema),
    /** Only in the run dialect. */
    phases: Type.Optional(phases),
    /** Only in the run dialect. Default: the name with `s`. */
    path: Type.Optional(name),
    /** Only in the run dialect. Default: the name with `_id`. */
    id_field: Type.Optional(idField),
    attempts: Type.Optional(attempts),
    timeout_s: Type.Optional(timeoutS),
    trust_patterns: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
)
export type KindEntry = Static<typeof KindEntry>

/** Contents of the file that `KINDS_FILE` names. */
export const KindsFile = Type.Object({ kinds: Type.Array(KindEntry, { maxItems: 64 }) }, { additionalProperties: false })
