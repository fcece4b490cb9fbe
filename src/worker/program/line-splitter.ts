const NEWLINE = 10

export interface Line {
  /** Without the line ending. */
  readonly text: string
  /** False: the line exceeded the limit, and this is its beginning. */
  readonly isWhole: boolean
}

/** Splits a byte stream into lines. It keeps at most `maxBytes`, however long a line is. */
export class LineSplitter {
  readonly #maxBytes: number
  readonly #parts: Buffer[] = []
  #bytes = 0
  #isCut = false

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** The lines that end in these bytes. */
  *push(chunk: Buffer): Generator<Line> {
    let from = 0
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      this.#keep(chunk.subarray(from, end))
      from = end + 1
      yield this.#take()
    }
    this.#keep(chunk.subarray(from))
  }

  /** The text after the last line ending. */
  *rest(): Generator<Line> {
    if (this.#bytes > 0) yield this.#take()
  }

  #keep(part: Buffer): void {
    const kept = part.subarray(0, this.#maxBytes - this.#bytes)
    if (kept.length > 0) this.#parts.push(kept)
    this.#bytes += kept.length
    this.#isCut ||= kept.length < part.length
  }

  #take(): Line {
    const line = { text: Buffer.concat(this.#parts).toString('utf8').replace(/\r$/, ''), isWhole: !this.#isCut }
    this.#parts.length = 0
    this.#bytes = 0
    this.#isCut = false
    return line
  }
}
