/** For a child of the one-command stack: ends when its parent is gone, however that ended. A process started by hand has no such parent. */
export function endWithParent(close: () => Promise<void> | void): void {
  if (!process.connected) return
  process.once('disconnect', () => void close())
}
