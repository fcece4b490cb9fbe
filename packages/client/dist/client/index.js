export * from './job-view.js';
export * from './process-view.js';
export * from './watch-job.js';
export * from './watch-processes.js';
