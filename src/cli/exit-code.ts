import { constants } from 'node:os'

/** How `runcast` ends. `watch`, and `submit` with `--watch`, tell by it how the job ended. */
export const EXIT = {
  ok: 0,
  /** The job failed; of the other commands: they could not do what they were told. */
  failed: 1,
  /** An unknown command or option, or one that is missing. */
  usage: 2,
  /** The job was cancelled. */
  cancelled: 3,
  /** The hub refused or could not be reached: how the job ends is not known. */
  unknown: 4,
  /** Ended by Ctrl-C before the job was, or since nobody reads any more. */
  interrupted: 130,
} as const

/** Ended by a signal: 128 and its number, as shells have it. */
export function exitOf(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal]
}

/** What ends a command: one line for stderr, and an exit code. */
export class CommandError extends Error {
  readonly exitCode: number

  constructor(message: string, exitCode: number) {
    super(message)
    this.name = 'CommandError'
    this.exitCode = exitCode
  }
}
