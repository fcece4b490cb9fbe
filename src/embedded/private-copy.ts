import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const FOLDER = fileURLToPath(new URL('../../../.runcast', import.meta.url))

/** An error whose message is all that the user needs. */
export class SetupError extends Error {
  override readonly name = 'SetupError'
}

/** The folder of the private copy of a program. Its commands are in `bin`. The folder is either complete or absent. */
export function privateFolder(name: string): string {
  return join(FOLDER, name)
}

/**
 * Makes a private copy: `fill` puts the program into a new folder, and `works` checks whether it runs here. Only then
 * is the folder renamed to its final name, so that an interrupted download is never used. Concurrent processes do the
 * work twice, and the first copy remains.
 * Rejects with the error of `fill`, and with a `SetupError` if nothing can be written or the program does not run.
 */
export async function makePrivateCopy(
  name: string,
  fill: (folder: string) => Promise<void>,
  works: (folder: string) => Promise<boolean>,
): Promise<void> {
  const partial = await temporaryFolder(name)
  try {
    await fill(partial)
    if (!(await works(partial))) throw new SetupError(`the private copy of ${name} does not run here`)
    const folder = privateFolder(name)
    try {
      await rename(partial, folder)
    } catch {
      if (await works(folder)) return
      await rm(folder, { recursive: true, force: true }) // an older copy that no longer runs
      await rename(partial, folder)
    }
  } finally {
    await rm(partial, { recursive: true, force: true })
  }
}

async function temporaryFolder(name: string): Promise<string> {
  try {
    await mkdir(FOLDER, { recursive: true })
    const folder = await mkdtemp(join(FOLDER, `.${name}-`))
    await chmod(folder, 0o755) // a copy made by an administrator serves every user
    return folder
  } catch (error) {
    throw new SetupError(`${FOLDER} cannot be written`, { cause: error })
  }
}

/**
 * Runs a command and resolves to its stdout. Rejects with a `SetupError` that has the first error line of stderr, as
 * pip and apt mark it, or the last line.
 */
export async function commandOutput(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  try {
    return (await promisify(execFile)(command, args, { maxBuffer: 2 ** 26, ...options })).stdout
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error
    if (error.code === 'ENOENT') throw new SetupError(`${command} is not installed`)
    const lines = 'stderr' in error ? `${error.stderr}`.trim().split('\n') : []
    const reason = lines.find((line) => /^(ERROR|E): /.test(line)) ?? lines.at(-1)
    throw new SetupError(`${command}: ${reason || `exit code ${error.code}`}`)
  }
}
