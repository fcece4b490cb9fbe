/**
 * For a child process of the one-command stack: closes when its parent is gone, however that ended. A process started
 * by hand has no such parent.
 */
export function endWithParent(close: () => Promise<void> | void): void {
  if (!process.connected) return
  process.once('disconnect', () => void close())
}

/** Runs the main function of a process. An error prints its message as one line, without a stack, and exits with 1. */
export async function runMain(main: () => Promise<void>): Promise<void> {
  try {
    await main()
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
    process.exit(1)
  }
}
