/** Windows has none: there the program itself is ended, at once by any signal, and what it has started is not. */
const HAS_GROUPS = process.platform !== 'win32'

/** Sends a signal to every process of a group, `pid` being its leader's. One that has ended is as good as told. */
export function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(HAS_GROUPS ? -pid : pid, signal)
  } catch {
    // Nobody is left in it.
  }
}
