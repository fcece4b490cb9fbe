import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, resolve } from 'node:path'
import { SolversError } from '../../config/load-solvers.js'
import type { Solver } from '../../config/solver.js'
import { type Environment, environmentOf } from './environment.js'

/** Where musl searches without a PATH. glibc omits the first folder; the start check accepts more rather than less. */
const DEFAULT_PATH = '/usr/local/bin:/bin:/usr/bin'

interface SolversInFile {
  readonly solvers: readonly Solver[]
  readonly path: string
}

/**
 * Checks that this machine has the program and the working folder of each chosen solver, when a worker starts. Throws
 * `SolversError` with everything that is missing, so that not every execution fails later. Later changes are detected
 * by the executions themselves. `chosen`: the solvers of the file that this worker uses.
 */
export function checkPrograms({ solvers, path }: SolversInFile, chosen: readonly Solver[], worker: Environment): void {
  const faults = solvers.flatMap((solver, i) => {
    const fault = chosen.includes(solver) ? programFault(solver, worker) : null
    return fault === null ? [] : [`/solvers/${i}/${fault}`]
  })
  if (faults.length > 0) throw new SolversError(path, faults)
}

/** What this machine lacks to start a program: the field, and what is expected there. Null if nothing. */
export function programFault(program: Pick<Solver, 'command' | 'cwd' | 'env'>, worker: Environment): string | null {
  const { command, cwd } = program
  if (!isFolder(cwd)) return `cwd: expected a folder of this machine: ${cwd}`
  if (isThere(program, worker)) return null
  return `command: expected a program that can be executed: no ${command} in ${command.includes('/') ? cwd : 'PATH'}`
}

/**
 * Searches as the operating system does: a name in each folder of the program's own PATH, a path from the working
 * folder.
 */
function isThere(program: Pick<Solver, 'command' | 'cwd' | 'env'>, worker: Environment): boolean {
  const { command, cwd } = program
  if (command.includes('/')) return isExecutable(resolve(cwd, command))
  const { PATH = DEFAULT_PATH } = environmentOf(program, worker)
  return PATH.split(delimiter).some((folder) => isExecutable(resolve(cwd, folder, command)))
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return statSync(file).isFile()
  } catch {
    return false
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
}
