import type { Readable } from 'node:stream'
import { type Line, LineSplitter } from './line-splitter.js'

const MAX_LINE_BYTES = 1_048_576
const SILENCE_MS = 250

/**
 * Hands on the lines of a program's stream, and reads no further while `take` is waited for. Resolves at the end of the stream, or once it is silent after
 * `over`: what has left the program's group may hold it open for ever. Rejects with what `take` throws.
 */
export async function readLines(stream: Readable, over: Promise<unknown>, take: (line: Line) => Promise<void> | undefined): Promise<void> {
  const splitter = new LineSplitter(MAX_LINE_BYTES)
  let chunks = 0
  const stopWatch = watchSilence(stream, over, () => chunks)
  try {
    // Not destroyed by a `take` that throws, so that this can be told from a stream that broke.
    for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
      chunks += 1
      for (const line of splitter.push(chunk as Buffer)) await take(line) // no encoding was set
    }
  } catch (error) {
    if (!stream.destroyed) throw error
  } finally {
    stopWatch()
  }
  for (const line of splitter.rest()) await take(line)
}

/** Closes a stream of which nothing has come for a while and nothing waits to be read, from `over` on. Answers how to leave that. */
function watchSilence(stream: Readable, over: Promise<unknown>, count: () => number): () => void {
  let timer: NodeJS.Timeout | undefined
  let isLeft = false
  const watch = () => {
    if (isLeft) return
    let before = -1
    timer = setInterval(() => {
      if (count() === before && stream.readableLength === 0) stream.destroy()
      before = count()
    }, SILENCE_MS)
  }
  over.then(watch, watch)
  return () => {
    isLeft = true
    clearInterval(timer)
  }
}
