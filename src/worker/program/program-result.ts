import { JobFailure, type Results } from '../processor.js'
import type { Exit } from './messages.js'

/** Everything that is known about a program that has ended. */
export interface ProgramEnd {
  readonly exit: Exit
  readonly result: Results['run'] | undefined
  readonly fault: JobFailure | undefined
  /** It was asked to end. */
  readonly wasSignalled: boolean
}

/** Signals that come from the machine, for example from a supervisor that stops a worker with all its children. */
const FROM_OUTSIDE: readonly (NodeJS.Signals | null)[] = ['SIGTERM', 'SIGINT', 'SIGHUP']

/**
 * The result of a program. Throws `JobFailure` if the program failed: another attempt would fail in the same way.
 * Throws any other error if another process asked it to end, which says nothing about the program. A result that was
 * written stands, however the program was ended afterwards, unless it exits with an error by itself.
 */
export function resultOf({ exit, result, fault, wasSignalled }: ProgramEnd): Results['run'] {
  if (result && (exit.code === 0 || wasSignalled)) return result
  if (!fault && FROM_OUTSIDE.includes(exit.signal)) throw new Error(`The program ${howEnded(exit)}.`)
  throw fault ?? new JobFailure('solver_error', `The program ${howEnded(exit)}.`)
}

function howEnded({ code, signal }: Exit): string {
  if (signal !== null) return `was ended by ${signal}`
  return code === 0 ? 'ended without a result' : `exited with code ${code}`
}
