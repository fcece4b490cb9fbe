import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Calls `fact` until it returns a truthy value without throwing, and resolves to that value. At the deadline it rejects
 * with the last error or value. A function that only asserts ends with `return true`.
 */
export async function eventually<T>(
  fact: () => T | Promise<T>,
  { timeoutMs = 30_000, everyMs = 10 }: { timeoutMs?: number; everyMs?: number } = {},
): Promise<Exclude<T, false | null | undefined | 0 | ''>> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    const late = Date.now() > deadline
    try {
      const answer = await fact()
      if (answer) return answer as Exclude<T, false | null | undefined | 0 | ''> // truthy: none of these types
      if (late) throw new Error(`still ${String(answer)} after ${timeoutMs} ms: ${fact}`)
    } catch (error) {
      if (late) throw error
    }
    await sleep(everyMs)
  }
}
