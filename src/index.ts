export { type ClientOptions, createClient, type RedisClientOptions } from './app/create-client.js'
export { createHub, type HubOptions, type ListenOptions, RuncastHub } from './app/create-hub.js'
export * from './app/create-jobs.js'
export { createWorker, RuncastWorker, type WorkerOptions } from './app/create-worker.js'
export { defineKind, type KindDefinition } from './app/define-kind.js'
export { type RuncastPluginOptions, runcast } from './app/fastify-plugin.js'
export type { HostOptions, HubNode } from './app/hub-node.js'
export { buildHubNode, buildServer } from './app/lazy-server.js'
export { loadConfig } from './app/load-config.js'
export { type MountedHub, type MountOptions, mountHub } from './app/mounted-hub.js'
export type { Log } from './app/parts.js'
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
  type ResultOf,
  type WireCurve,
  type WireSeries,
} from './client/client.js'
export type { HubClientOptions } from './client/create-client.js'
export type { EventsOptions, JobEvent } from './client/job-events.js'
export { JobFailed, type JobFailure } from './client/job-failed.js'
export type { JobInfo } from './client/job-info.js'
export { type Config, ConfigError } from './config/config.js'
export type { AuthOptions, ClientSettings, HubSettings, MountSettings, RedisOptions, WorkerSettings } from './config/options.js'
export type { DefinedKind, KindContract } from './core/define-kind.js'
export type { Position } from './core/entry.js'
export type { Role } from './core/identity.js'
export { type InputIssue, type Kind, type KindDialect, type KindDisplay, Kinds } from './core/kind.js'
export type { Setting } from './core/setting.js'
export type { KindRoutes } from './http/kind-routes.js'
export type { Authenticate, LoggedIn } from './http/plugins/login.js'
export type { ServerOptions } from './http/server.js'
export { BUILT_IN_KINDS as builtInKinds, type InputOf, type KindName } from './kinds/index.js'
export {
  type CodeName,
  type Issue,
  RuncastError,
  /** @deprecated The same as `RuncastError`. */ RuncastError as Refusal,
} from './protocol/codes.js'
export {
  type Computation,
  implement,
  type Program,
  type Ready,
  type StartContext,
  type StepContext,
  type Work,
} from './worker/implement.js'
export type { Job, MetricOptions, Processor } from './worker/processor.js'
