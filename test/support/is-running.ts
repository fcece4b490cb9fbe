import { readFileSync } from 'node:fs'

/** Whether a process computes: one that has ended and that nobody has asked about (a zombie, on Linux) does not. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return process.platform !== 'linux' || !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}
