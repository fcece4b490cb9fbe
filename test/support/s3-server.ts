import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { eventually } from './eventually.js'
import { testPort } from './ports.js'

const PROGRAM = 'versitygw'

/** Why tests of S3 are skipped; false if they are not. */
export const NO_S3_SERVER = spawnSync(PROGRAM, ['--version']).status === 0 ? false : `no ${PROGRAM} on PATH`

export interface S3Server {
  readonly endpoint: string
  readonly bucket: string
}

/**
 * Starts Versity S3 Gateway, a real S3 server on a folder, with one bucket. The SDK in this process and its children
 * finds the credentials in the environment.
 */
export async function startS3(t: Test): Promise<S3Server> {
  const bucket = 'artifacts'
  const folder = await mkdtemp(join(tmpdir(), 'runcast-test-s3-'))
  await mkdir(join(folder, 'data', bucket), { recursive: true })
  await mkdir(join(folder, 'meta'))
  const port = await testPort()
  const [access, secret] = ['runcast-test', 'a-secret-of-the-tests']
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: access, AWS_SECRET_ACCESS_KEY: secret })
  // Not every file system has extended attributes, so metadata is in a folder of its own.
  const backend = ['posix', '--sidecar', join(folder, 'meta'), join(folder, 'data')]
  const args = ['--quiet', '--port', `127.0.0.1:${port}`, '--access', access, '--secret', secret, ...backend]
  const server = spawn(PROGRAM, args, { stdio: 'ignore' })
  const ended = once(server, 'exit')
  t.teardown(async () => {
    server.kill()
    await ended
    await rm(folder, { recursive: true })
  })
  const endpoint = `http://127.0.0.1:${port}`
  await eventually(() => fetch(endpoint))
  return { endpoint, bucket }
}
