import { threadId } from 'node:worker_threads'
import { JobFailure, type Processor, serveJobs } from '../../src/worker/index.js'

const work: Processor<{ script: string }, 'run'> = async ({ script }, job) => {
  job.progress({ percent: 1, phase: 'working', message: script })
  await job.flush()
  if (script === 'loop') for (;;);
  if (script === 'exit') process.exit(3)
  if (script === 'refuse') throw new JobFailure('invalid_input', 'not this one')
  job.metric('thread', threadId, '')
  return { metrics_summary: { thread: threadId } }
}

serveJobs(work)
