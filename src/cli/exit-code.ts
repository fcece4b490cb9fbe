import { constants } from 'node:os'
import { JobFailed } from '../client/job-failed.js'
import { RuncastError } from '../protocol/codes.js'

/** Exit codes of `runcast`. `watch`, and other commands with `--watch` or `--wait`, report how the job ended. */
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

/** An error that ends a command: one line for stderr, or none if the message is empty, and an exit code. */
export class CommandError extends Error {
  readonly exitCode: number

  constructor(message: string, exitCode: number, cause?: unknown) {
    super(message, { cause })
    this.name = 'CommandError'
    this.exitCode = exitCode
  }
}

/**
 * An error of a command as `--json` prints it. `code`: that of the hub or of the failed job, else `usage`, `failed`,
 * `unknown` or `interrupted`. `request_id`: of the request that the hub has answered with the error, or null.
 */
export function errorObject(error: unknown): object {
  const cause = error instanceof CommandError ? error.cause : error
  if (cause instanceof RuncastError) {
    const { code, message, issues, requestId = null } = cause
    return { code, message, request_id: requestId, ...(issues.length > 0 && { issues }) }
  }
  if (cause instanceof JobFailed) return { code: cause.code, message: cause.message, request_id: null }
  return { code: codeOf(error), message: error instanceof Error ? error.message : String(error), request_id: null }
}

function codeOf(error: unknown): string {
  if (!(error instanceof CommandError)) return 'failed'
  if (error.exitCode > 128) return 'interrupted'
  return Object.entries(EXIT).find(([, exitCode]) => exitCode === error.exitCode)?.[0] ?? 'failed'
}
