import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, resolve } from 'node:path'
import { SolversError } from '../../config/load-solvers.js'
import type { Solver } from '../../config/solver.js'
import { type Environment, environmentOf } from './environment.js'

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
    if (!chosen.includes(solver)) return []
    if (!isFolder(solver.cwd)) return [`/solvers/${i}/cwd: expected a folder of this machine: ${solver.cwd}`]
    const where = solver.command.includes('/') ? solver.cwd : 'PATH'
    return isThere(solver, worker)
      ? []
      : [`/solvers/${i}/command: expected a program that can be executed: no ${solver.command} in ${where}`]
  })
  if (faults.length > 0) throw new SolversError(path, faults)
}

/**
 * Searches as the operating system does: a name in each folder of the program's own PATH, a path from the working
 * folder.
 */
function isThere(solver: Solver, worker: Environment): boolean {
  const { command, cwd } = solver
  if (command.includes('/')) return isExecutable(resolve(cwd, command))
  const { PATH = '' } = environmentOf(solver, worker)
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
