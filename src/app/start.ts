import { pino } from 'pino'
import type { Config } from '../config/config.js'
import { redact } from '../http/plugins/request-logging.js'
import { RuncastError } from '../protocol/codes.js'
import { checkRedis, type Log } from './parts.js'

/** The logger of a program, or JSON lines on stdout. */
export function logOf(given: Log | undefined, config: Config): Log {
  return given ?? pino({ level: config.LOG_LEVEL, redact })
}

/** Like `checkRedis`, but throws a `RuncastError`: `overloaded` if Redis cannot be reached. */
export async function requireRedis({ REDIS_URL: url }: Config, log: Log): Promise<void> {
  try {
    await checkRedis({ url }, log)
  } catch (error) {
    const { message, cause } = error instanceof Error ? error : new Error(String(error))
    throw new RuncastError(cause instanceof RuncastError ? cause.code : 'invalid', { message, cause: error })
  }
}
