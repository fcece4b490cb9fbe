import type { Test } from 'tap'
import { codeOf } from '../support/documents.js'
import type { EngineStack } from './engine-stack.js'
import type { Jobs } from './jobs.js'
import type { Body } from './rest.js'

/** A backup is made while the file of Redis is being rewritten, everything is removed, and all jobs are there again from the backup alone. */
export async function backup(t: Test, stack: EngineStack, jobs: Jobs): Promise<void> {
  const { rest } = jobs
  const told = async () => {
    const { processes } = await rest.call('GET', '/api/processes?limit=100')
    // Another start of Redis is another epoch.
    return processes.map(({ epoch: _epoch, ...process }: Body) => process)
  }
  const before = await told()
  t.ok(before.length > 3)
  const [redis = ''] = await stack.units('redis')
  await stack.exec(redis, 'redis-cli', 'bgrewriteaof')
  await stack.shell([codeOf('docs/operate/backup.md', 'runcast-backup.tgz')])
  t.match((await stack.exec(redis, 'redis-cli', 'config', 'get', 'auto-aof-rewrite-percentage')).stdout, /^100$/m, 'it is rewritten again')
  await stack.compose('down', '-v')
  await stack.shell([codeOf('docs/operate/backup.md', 'runcast-backup.tgz', 1)])
  await stack.compose('up', '-d')
  await stack.healthy()
  t.same(await told(), before)
}
