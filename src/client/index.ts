export * from './job-view.js'
export * from './watch-job.js'
