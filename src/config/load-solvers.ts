import { dirname, resolve } from 'node:path'
import type { Kinds } from '../core/kind.js'
import { Checker } from '../protocol/checker.js'
import { readSettingsFile, SettingsFileError } from './settings-file.js'
import { type Solver, SolversFile } from './solver.js'

const checker = new Checker(SolversFile)

/** The configuration of the solvers is invalid. The message has a line per fault. */
export class SolversError extends SettingsFileError {
  constructor(path: string, faults: readonly string[]) {
    super({ path, setting: 'SOLVERS_FILE', content: 'solvers' }, faults)
    this.name = 'SolversError'
  }
}

/**
 * Reads the solvers from a JSON file; none for an empty path. `kinds`: their built-in solvers have reserved names.
 * Throws `SolversError` with every fault: its path and what is expected there. Does not check whether the programs
 * exist, because hubs do not need them.
 */
export function loadSolvers(path: string, kinds: Kinds): readonly Solver[] {
  if (path === '') return []
  const { solvers } = readSettingsFile(path, checker, (faults) => new SolversError(path, faults))
  const faults = namingFaults(solvers, kinds)
  if (faults.length > 0) throw new SolversError(path, faults)
  return solvers.map((solver) => ({ ...solver, cwd: resolve(dirname(path), solver.cwd) }))
}

function namingFaults(solvers: readonly Solver[], kinds: Kinds): string[] {
  const own = kinds.solved.flatMap((kind) => kind.solvers)
  const isTaken = (name: string, before: number) => own.includes(name) || solvers.findIndex((other) => other.name === name) < before
  return solvers.flatMap(({ name }, i) =>
    isTaken(name, i) ? [`/solvers/${i}/name: expected a unique name other than ${own.join(', ')}, not ${name}`] : [],
  )
}
