export { RuncastError } from '../protocol/codes.js'
export { type Job, JobFailure, type Processor, Stop, type StopCause } from './processor.js'
export { serveJobs } from './threads/serve-jobs.js'
