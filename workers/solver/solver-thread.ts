import { serveJobs } from '../../src/worker/threads/serve-jobs.js'
import { solveRun } from './horn-2d.js'

serveJobs(solveRun)
