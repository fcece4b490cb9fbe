import type { Readable } from 'node:stream'
import { type Line, LineSplitter } from './line-splitter.js'

export const MAX_LINE_BYTES = 1_048_576
const LOOK_MS = 250

/**
 * Hands on the lines of a program's stream, and reads no further while `take` is waited for. Resolves at the end of the stream, or once it was read empty after
 * `over`: what has left the program's group may hold it open, and write to it, for ever. Rejects with what `take` throws.
 */
export async function readLines(stream: Readable, over: Promise<unknown>, take: (line: Line) => Promise<void>): Promise<void> {
  const splitter = new LineSplitter(MAX_LINE_BYTES)
  const stopWatch = closeWhenRead(stream, over)
  try {
    // Not destroyed by a `take` that throws, so that this can be told from a stream that broke.
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

/** Closes a stream once all that was written to it before `over` has been read: at the second look at which nothing waits. Answers how to leave that. */
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
