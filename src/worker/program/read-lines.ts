import type { Readable } from 'node:stream'
import { type Line, LineSplitter } from './line-splitter.js'

export const MAX_LINE_BYTES = 1_048_576
const LOOK_MS = 250

/**
 * Passes on the lines of a program's stream, and does not read further while `take` is pending. Resolves at the end of
 * the stream, or once the stream was read empty after `over`: a process that has left the program's group may keep it
 * open, and write to it, forever. Rejects with what `take` throws.
 */
export async function readLines(stream: Readable, over: Promise<unknown>, take: (line: Line) => Promise<void>): Promise<void> {
  const splitter = new LineSplitter(MAX_LINE_BYTES)
  const stopWatch = closeWhenRead(stream, over)
  try {
    // Not destroyed if `take` throws, so that this can be distinguished from a broken stream.
    for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
      for (const line of splitter.push(chunk as Buffer)) await take(line) // no encoding was set
    }
  } catch (error) {
    if (!stream.destroyed) throw error
  } finally {
    stopWatch()
  }
  for (const line of splitter.rest()) await take(line)
}

/**
 * Closes a stream once everything written to it before `over` has been read: at the second check that finds it empty.
 * Returns a function that stops the checks.
 */
function closeWhenRead(stream: Readable, over: Promise<unknown>): () => void {
  let timer: NodeJS.Timeout | undefined
  let isLeft = false
  const watch = () => {
    if (isLeft) return
    let emptyLooks = 0
    timer = setInterval(() => {
      if (stream.readableLength === 0) emptyLooks += 1
      if (emptyLooks === 2) stream.destroy()
    }, LOOK_MS)
  }
  over.then(watch, watch)
  return () => {
    isLeft = true
    clearInterval(timer)
  }
}
