import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Processor, serveJobs } from '../../src/worker/index.js'

const work: Processor<{ script: string }, 'run'> = async ({ script }, job) => {
  if (script === 'fail') await job.artifact('x', { path: 'none' })
  await writeFile(join(await job.folder(), 'file.txt'), 'file!')
  await job.artifact('file.txt', { path: 'file.txt' })
  await job.artifact('data.bin', { data: new Uint8Array([1, 2, 3]) })
  job.artifact('late.txt', { data: 'late' })
  return { metrics_summary: {} }
}

serveJobs(work)
