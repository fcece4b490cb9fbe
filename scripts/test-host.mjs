/*
 * Runs test files one after the other in this process: most of the time of a short file is its imports.
 * Reads their names from stdin, a line each, and writes one TAP stream: "end of <name>" follows what a file asserts.
 */
import { createInterface } from 'node:readline'
import t from 'tap'

t.setTimeout(0) // scripts/test.mjs keeps the time of each file
for await (const file of createInterface({ input: process.stdin })) {
  await import(`../build/test/${file}.test.js`)
  await t.test(`end of ${file}`, async () => {})
}
