import { readdirSync, readFileSync } from 'node:fs'

/** The variable by which processes are found again. */
export const MARK = 'RUNCAST_MARK'

/** Pids of the processes that carry a mark in their environment: all that a program with it has started, however far removed. Linux only. */
export function marked(mark: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`${MARK}=${mark}\0`)
      } catch {
        return false
      }
    })
}
