import { pino } from 'pino'
import type { Config } from '../config/config.js'
import { redact } from '../http/plugins/request-logging.js'
import { RuncastError } from '../protocol/codes.js'
import { checkRedis, type Log } from './parts.js'

/** What a program passes as its log, else JSON lines on stdout. */
export function logOf(given: Log | undefined, config: Config): Log {
  return given ?? pino({ level: config.LOG_LEVEL, redact })
}

/** As `checkRedis`, with a `RuncastError`: `overloaded` where Redis cannot be reached. */
export async function mustHaveRedis({ REDIS_URL: url }: Config, log: Log): Promise<void> {
  try {
    await checkRedis({ url }, log)
  } catch (error) {
    const { message, cause } = error instanceof Error ? error : new Error(String(error))
    throw new RuncastError(cause instanceof RuncastError ? cause.code : 'invalid', { message, cause: error })
  }
}
