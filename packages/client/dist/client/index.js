export { RuncastError } from '../protocol/codes.js';
export { Client, JobHandle, } from './client.js';
export { createClient } from './create-client.js';
export { JobFailed } from './job-failed.js';
export * from './job-view.js';
export * from './process-view.js';
export * from './watch-job.js';
export * from './watch-processes.js';
