/** For a child of the one-command stack: ends when its parent is gone, however that ended. A process started by hand has no such parent. */
export function endWithParent(close: () => Promise<void> | void): void {
  if (!process.connected) return
  process.once('disconnect', () => void close())
}

/** Runs the main of a process; what it cannot start with is one clear line and exit code 1, without a stack. */
export async function runMain(main: () => Promise<void>): Promise<void> {
  try {
    await main()
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
    process.exit(1)
  }
}
