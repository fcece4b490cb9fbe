import { solveRun } from './solver/horn-2d.js'
import { serveJobs } from './threads/serve-jobs.js'

serveJobs<'run'>(solveRun)
