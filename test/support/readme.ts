import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'

const README = readFileSync(fileURLToPath(new URL('../../../README.md', import.meta.url)), 'utf8')

/** The JavaScript example of the README that contains this text. */
export function readmeCode(words: string): string {
  const blocks = [...README.matchAll(/^```js\n([\s\S]*?)^```/gm)].map(([, code = '']) => code)
  const code = blocks.find((block) => block.includes(words))
  if (code === undefined) throw new Error(`no example of the README has ${words}`)
  return code
}

/**
 * The commands in the shell blocks under a heading of the README, up to the next heading of the same depth. A command
 * that continues after a backslash is one line.
 */
export function readmeShell(heading: string): string[] {
  const section = README.split(/^## /m).find((part) => part.startsWith(`${heading}\n`))
  const blocks = [...(section ?? '').matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, code = '']) => code)
  if (blocks.length === 0) throw new Error(`the README has no shell block under ${heading}`)
  return blocks.flatMap((code) => code.replaceAll('\\\n', '').trimEnd().split('\n'))
}

/** The commands of the shell block of docs/operations.md that contains this text, or of a later one, unindented. */
export function docsShell(words: string, after = 0): string[] {
  const text = readFileSync(fileURLToPath(new URL('../../../docs/operations.md', import.meta.url)), 'utf8')
  const blocks = [...text.matchAll(/^( *)```sh\n([\s\S]*?)^ *```/gm)].map(([, indent = '', code = '']) =>
    code.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  )
  const code = blocks.filter((block) => block.includes(words))[after]
  if (code === undefined) throw new Error(`docs/operations.md has no such shell block with ${words}`)
  return code.trimEnd().split('\n')
}

/** Writes the JavaScript with this context to a file inside the package, so that it can import the package by name. */
export function readmeExample(t: Test, words: string, change: (code: string) => string = (code) => code): string {
  return program(t, change(readmeCode(words)))
}

/** Writes a program to a file inside the package. */
export function program(t: Test, code: string): string {
  const file = join(t.testdir({}), 'program.mjs')
  writeFileSync(file, code)
  return file
}

/** A running program. */
export interface Program {
  /** Output so far. */
  readonly output: string
  /** Exit code; null if it had to be ended after half a minute. */
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
