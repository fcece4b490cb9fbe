import Type, { type Static } from 'typebox'
import { CODES, type CodeName, type RuncastError, STORE_REASONS, type StoreReason } from './codes.js'

/** Codes that an HTTP answer can have: all but the one of a session that has ended well. */
const ERROR_CODES: CodeName[] = (Object.keys(CODES) as CodeName[]).filter((name): boolean => name !== 'done')

const ErrorCode = Type.Enum(ERROR_CODES, { title: 'ErrorCode', description: 'name of the error in the table of codes' })
const Reason = Type.Optional(
  Type.Enum(Object.keys(STORE_REASONS) as StoreReason[], {
    title: 'StoreReason',
    description: 'only with `overloaded`, if Redis is the cause: why Redis cannot serve',
  }),
)
const Issue = Type.Object(
  {
    path: Type.String({ description: 'JSON Pointer (RFC 6901) to the faulty field' }),
    expected: Type.String({ description: 'what is expected there' }),
  },
  { title: 'Issue' },
)
const Message = Type.String({ description: 'text for people; it may change' })
const RequestId = Type.Optional(Type.String({ description: 'id of the request in the log of the hub, as in the header X-Request-Id' }))

/** The body of every error answer. */
export const ErrorBody = Type.Object(
  {
    error: ErrorCode,
    message: Message,
    detail: Type.Array(Issue, { description: 'the faulty fields, at most eight' }),
    reason: Reason,
    request_id: RequestId,
  },
  { title: 'ErrorBody', description: 'Every error has this body.' },
)
export type ErrorBody = Static<typeof ErrorBody>

/** Media type of `ProblemDetails`. */
export const PROBLEM_TYPE = 'application/problem+json'

/** The same error as RFC 9457 has it, for clients that ask for `application/problem+json`. */
export const ProblemDetails = Type.Object(
  {
    type: Type.String({ format: 'uri', description: '`urn:runcast:error:` and the code' }),
    title: Type.String({ description: 'text of the code' }),
    status: Type.Integer({ minimum: 400, maximum: 599 }),
    detail: Message,
    error: ErrorCode,
    issues: Type.Array(Issue),
    reason: Reason,
    request_id: RequestId,
  },
  { title: 'ProblemDetails', description: 'The same error in the form of RFC 9457. Ask for it with `Accept: application/problem+json`.' },
)
export type ProblemDetails = Static<typeof ProblemDetails>

/** `requestId`: of the request that it answers, if that is known. */
export function errorBodyOf({ code: error, message, issues, reason }: RuncastError, requestId?: string): ErrorBody {
  return { error, message, detail: [...issues], ...further(reason, requestId) }
}

export function problemOf({ code: error, message: detail, issues, reason }: RuncastError, requestId: string): ProblemDetails {
  const { http: status, text: title } = CODES[error]
  const type = `urn:runcast:error:${error}`
  return { type, title, status, detail, error, issues: [...issues], ...further(reason, requestId) }
}

function further(reason: StoreReason | undefined, requestId: string | undefined): Pick<ErrorBody, 'reason' | 'request_id'> {
  return { ...(reason !== undefined && { reason }), ...(requestId !== undefined && { request_id: requestId }) }
}
