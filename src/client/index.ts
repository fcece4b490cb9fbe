export { type CodeName, type Issue, RuncastError } from '../protocol/codes.js'
export {
  Client,
  type ClientWatchOptions,
  type EventOf,
  type InputFor,
  JobHandle,
  type JobOptions,
  type JobPage,
  type KindRef,
  type ListOptions,
  type LogPage,
  type LogPageOptions,
  type ResultOf,
  type WireCurve,
  type WireSeries,
  type WordsUpdate,
} from './client.js'
export type { ConnectionOptions, ConnectionState, EndReason } from './connection.js'
export { createClient, type HubClientOptions } from './create-client.js'
export type { Curve, SeriesMessage } from './curves.js'
export type { JobArtifact } from './download.js'
export type { JobHealth } from './health.js'
export type { WebSocketClass, WebSocketLike } from './hub-socket.js'
export type { EventsOptions, JobEvent } from './job-events.js'
export { JobFailed, type JobFailure } from './job-failed.js'
export type { JobInfo } from './job-info.js'
export { JobLog, type LogOptions } from './job-log.js'
export * from './job-view.js'
export type { NumberedLine } from './log-fold.js'
export * from './process-view.js'
export * from './watch-job.js'
export * from './watch-processes.js'
