/*
 * `runcast/protocol`: the wire and nothing else. Each schema is a TypeBox JSON Schema, exported together with
 * its type of the same name.
 */
export type { WireJob } from './client/job-info.js'
export * from './kinds/wire.js'
export {
  ClaimAnswer,
  type ClaimEnd,
  type ClaimEvent,
  ClaimPost,
  MAX_CLAIM_EVENTS,
  MAX_POSTS_PER_SECOND,
  MAX_WAIT_S,
} from './protocol/claim-messages.js'
export { CLIENT_MESSAGES, type ClientMessage, type ClientMessageType } from './protocol/client-messages.js'
export {
  type CloseName,
  CODES,
  type Code,
  type CodeName,
  type ErrorDetails,
  FAILURE_CODES,
  type FailureCode,
  type Issue,
  RuncastError,
  STORE_REASONS,
  type StoreReason,
} from './protocol/codes.js'
export { ErrorBody, ProblemDetails } from './protocol/error-body.js'
export { type AnyFailureCode, FAILURE_CODE_PATTERN } from './protocol/failure.js'
export { HUB_MESSAGES, STREAM_EVENTS } from './protocol/hub-messages.js'
export { isJobId, JOB_ID_PATTERN, JobId } from './protocol/job-id.js'
export {
  PROCESS_MESSAGES,
  ProcessList,
  type ProcessMessage,
  type ProcessMessages,
  ProcessProgress,
  ProcessSnapshot,
  ProcessView,
} from './protocol/process-messages.js'
export { jobMessages, RUN_MESSAGES, RUN_PHASES, type RunMessages, RunSnapshot } from './protocol/run-messages.js'
export { FINAL_STATUSES, type FinalStatus, isFinal, isStatus, STATUSES, type Status } from './protocol/status.js'
export { UserId } from './protocol/user-id.js'
