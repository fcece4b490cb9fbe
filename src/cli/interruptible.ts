import { CommandError, EXIT, exitOf } from './exit-code.js'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Resolves as `work` does, and aborts its signal at the end. After Ctrl-C or SIGTERM it rejects with a `CommandError`
 * that has the exit code of the signal and says `hint`; if the reader of the output has gone, with one that says
 * nothing.
 */
export async function interruptible<T>(hint: string, work: (stopped: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController()
  let interrupt: (error: CommandError) => void = () => {}
  const interrupted = new Promise<never>((_, reject) => {
    interrupt = reject
  })
  const onSignal = (signal: NodeJS.Signals) => interrupt(new CommandError(hint, exitOf(signal)))
  const onGone = () => interrupt(new CommandError('', EXIT.interrupted))
  for (const signal of SIGNALS) process.once(signal, onSignal)
  process.stdout.once('error', onGone)
  try {
    return await Promise.race([work(stop.signal), interrupted])
  } finally {
    for (const signal of SIGNALS) process.off(signal, onSignal)
    process.stdout.off('error', onGone)
    stop.abort()
  }
}
