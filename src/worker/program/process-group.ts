/**
 * Windows has no process groups. There only the program itself is ended, at once by any signal, but not the processes
 * that it has started.
 */
const HAS_GROUPS = process.platform !== 'win32'

/** Sends a signal to every process of a group; `pid` is the id of its leader. Does nothing if the group has ended. */
export function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(HAS_GROUPS ? -pid : pid, signal)
  } catch {
    // The group has no process left.
  }
}
