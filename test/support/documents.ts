import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'

/** A fenced block of a document. */
export interface CodeBlock {
  readonly language: string
  /** Without the indentation of its fence. */
  readonly code: string
}

/** The text of a document, by its path in the clone. */
export function documentText(file: string): string {
  return readFileSync(fileURLToPath(new URL(`../../../${file}`, import.meta.url)), 'utf8')
}

/** The fenced blocks of a text, in their order. */
export function codeBlocks(text: string): CodeBlock[] {
  const blocks = [...text.matchAll(/^( *)```(\w*)\n([\s\S]*?)^ *```$/gm)]
  return blocks.map(([, indent = '', language = '', code = '']) => ({
    language,
    code: code.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  }))
}

/** The code block of a document that contains these words, as it stands; `after`: skips as many. */
export function codeOf(file: string, words: string, after = 0): string {
  const block = codeBlocks(documentText(file)).filter(({ code }) => code.includes(words))[after]
  if (!block) throw new Error(`${file} has no code block with ${words}`)
  return block.code
}

/**
 * The shell commands under a heading of a document, up to the next heading of depth 2. A command that continues after a
 * backslash is one line.
 */
export function shellUnder(file: string, heading: string): string[] {
  const section = documentText(file)
    .split(/^## /m)
    .find((part) => part.startsWith(`${heading}\n`))
  const shell = codeBlocks(section ?? '').filter(({ language }) => language === 'sh')
  if (shell.length === 0) throw new Error(`${file} has no shell block under ${heading}`)
  return shell.flatMap(({ code }) => linesOf(code))
}

/** The commands of a shell block. */
export function linesOf(code: string): string[] {
  return code.replaceAll('\\\n', '').trimEnd().split('\n')
}

/** Writes a code block to a file inside the package, so that it can import the package by name. */
export function exampleOf(t: Test, file: string, words: string): string {
  return program(t, codeOf(file, words))
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
