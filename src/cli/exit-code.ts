import { constants } from 'node:os'

/** Exit codes of `runcast`. `watch`, and `submit` with `--watch`, report how the job ended. */
export const EXIT = {
  ok: 0,
  /** The job failed. For other commands: the command failed. */
  failed: 1,
  /** An unknown command or option, or a missing one. */
  usage: 2,
  /** The job was cancelled. */
  cancelled: 3,
  /** The hub returned an error or could not be reached: how the job ends is unknown. */
  unknown: 4,
  /** Interrupted by Ctrl-C before the job ended, or the reader of the output has gone. */
  interrupted: 130,
} as const

/** Exit code after a signal: 128 plus its number, as in shells. */
export function exitOf(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal]
}

/** An error that ends a command: one line for stderr, and an exit code. */
export class CommandError extends Error {
  readonly exitCode: number

  constructor(message: string, exitCode: number, cause?: unknown) {
    super(message, { cause })
    this.name = 'CommandError'
    this.exitCode = exitCode
  }
}
