export { JobFailure, type OwnJob as Job, type OwnProcessor as Processor, Stop, type StopCause } from './processor.js'
export { serveJobs } from './threads/serve-jobs.js'
