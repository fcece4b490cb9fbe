import { readdirSync, readFileSync } from 'node:fs'

/** The environment variable that marks processes. */
export const MARK = 'RUNCAST_MARK'

/** Pids of all processes with a mark in their environment: a program and all its descendants. Linux only. */
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
