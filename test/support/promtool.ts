import { spawn } from 'node:child_process'
import type { Test } from 'tap'

/** Runs promtool and returns its output; fails the test if it reports an error. */
export async function promtool(t: Test, args: readonly string[], input = ''): Promise<string> {
  const child = spawn('promtool', args, { stdio: ['pipe', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (said += text))
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  child.stdin.end(input)
  t.equal(await ended, 0, `promtool ${args.slice(0, 2).join(' ')}: ${said}`)
  return said
}
