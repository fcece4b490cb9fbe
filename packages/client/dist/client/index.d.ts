export type { ConnectionOptions, ConnectionState, EndReason } from './connection.js';
export * from './job-view.js';
export type { WebSocketClass, WebSocketLike } from './line.js';
export * from './process-view.js';
export * from './watch-job.js';
export * from './watch-processes.js';
