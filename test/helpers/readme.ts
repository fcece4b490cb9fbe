import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'

const README = readFileSync(fileURLToPath(new URL('../../../README.md', import.meta.url)), 'utf8')

/** The JavaScript example of the README that has these words in it, with what stands around it, as a file inside the package, which can import it by its name. */
export function readmeExample(t: Test, words: string, change: (code: string) => string = (code) => code): string {
  const blocks = [...README.matchAll(/^```js\n([\s\S]*?)^```/gm)].map(([, code = '']) => code)
  const code = blocks.find((block) => block.includes(words))
  if (code === undefined) throw new Error(`no example of the README has ${words}`)
  return program(t, change(code))
}

/** A program inside the package. */
export function program(t: Test, code: string): string {
  const file = join(t.testdir({}), 'program.mjs')
  writeFileSync(file, code)
  return file
}

/** Runs a program; resolves when it has ended by itself, or with code null after half a minute. */
export function runProgram(file: string, env: Readonly<Record<string, string>> = {}): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [file], { env: { ...process.env, ...env }, timeout: 30_000 }, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode, output: stdout + stderr }),
    )
  })
}
