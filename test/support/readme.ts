import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'

const README = readFileSync(fileURLToPath(new URL('../../../README.md', import.meta.url)), 'utf8')

/** The JavaScript example of the README that has these words in it, as it stands. */
export function readmeCode(words: string): string {
  const blocks = [...README.matchAll(/^```js\n([\s\S]*?)^```/gm)].map(([, code = '']) => code)
  const code = blocks.find((block) => block.includes(words))
  if (code === undefined) throw new Error(`no example of the README has ${words}`)
  return code
}

/** The lines of the shell blocks under a heading of the README, as they stand: a command that goes on after a backslash is one line. Up to the next heading of the same depth. */
export function readmeShell(heading: string): string[] {
  const section = README.split(/^## /m).find((part) => part.startsWith(`${heading}\n`))
  const blocks = [...(section ?? '').matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, code = '']) => code)
  if (blocks.length === 0) throw new Error(`the README has no shell block under ${heading}`)
  return blocks.flatMap((code) => code.replaceAll('\\\n', '').trimEnd().split('\n'))
}

/** The lines of the shell block of docs/operations.md that has these words, or of one after it; without their indentation. */
export function docsShell(words: string, after = 0): string[] {
  const text = readFileSync(fileURLToPath(new URL('../../../docs/operations.md', import.meta.url)), 'utf8')
  const blocks = [...text.matchAll(/^( *)```sh\n([\s\S]*?)^ *```/gm)].map(([, indent = '', code = '']) =>
    code.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  )
  const code = blocks.filter((block) => block.includes(words))[after]
  if (code === undefined) throw new Error(`docs/operations.md has no such shell block with ${words}`)
  return code.trimEnd().split('\n')
}

/** That JavaScript, with what stands around it, as a file inside the package, which can import it by its name. */
export function readmeExample(t: Test, words: string, change: (code: string) => string = (code) => code): string {
  return program(t, change(readmeCode(words)))
}

/** A program inside the package. */
export function program(t: Test, code: string): string {
  const file = join(t.testdir({}), 'program.mjs')
  writeFileSync(file, code)
  return file
}

/** A program that runs. */
export interface Program {
  /** What it has written so far. */
  readonly output: string
  /** Exit code, once it has ended by itself; null where it had to be ended after half a minute. */
  readonly code: Promise<number | null>
}

export function runProgram(file: string, env: Readonly<Record<string, string>> = {}): Program {
  let output = ''
  const child = spawn(process.execPath, [file], { env: { ...process.env, ...env }, timeout: 30_000 })
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (output += data.toString()))
  const code = new Promise<number | null>((resolve) => child.on('close', resolve))
  return {
    code,
    get output() {
      return output
    },
  }
}
