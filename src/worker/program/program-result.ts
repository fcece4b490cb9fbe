import { JobFailure, type Results } from '../processor.js'
import type { Exit } from './messages.js'

/** All that is known of a program that has ended. */
export interface ProgramEnd {
  readonly exit: Exit
  readonly result: Results['run'] | undefined
  readonly fault: JobFailure | undefined
  /** It was told to end. */
  readonly wasSignalled: boolean
}

/** With these a machine ends what runs on it, as a supervisor that stops a worker with all its children does. */
const FROM_OUTSIDE: readonly (NodeJS.Signals | null)[] = ['SIGTERM', 'SIGINT', 'SIGHUP']

/**
 * The result of a program. Throws `JobFailure` where it failed: what it did it would do again; and any other error where somebody else asked it to end, which says
 * nothing of it. A result that was told stands, however the program was ended after that, unless it says itself that it failed.
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
