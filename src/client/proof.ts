/** Where a message stands in its job. */
export interface Place {
  readonly seq: number
  /** The seq that the receiver must have had before; absent it is `seq` − 1. */
  readonly prev?: number
}

/** What a snapshot says of its place. */
export interface Opening {
  readonly epoch: string
  readonly seq: number
  /** Exactly what was missed follows. */
  readonly recovered: boolean
  /** The round has ended: a final message belongs to this state. */
  readonly isFinal: boolean
}

/**
 * `next`: nothing is missing before it. `replay`: it belongs to the last snapshot, which says as much or more. `known`: a duplicate. `gap`: something is
 * missing, and the message is not to be used.
 */
export type Verdict = 'next' | 'replay' | 'known' | 'gap'

/**
 * The proof that of one job nothing is missing and nothing is told twice (rules POS-1 to POS-3), over any number of connections. What counts is what has
 * come, not what a snapshot promises: a replay that was cut off is asked for again from where it ended.
 */
export class Proof {
  #epoch: string | null = null
  /** Every persisted entry up to this seq has arrived, or is older than the first snapshot. */
  #at = 0
  /** Seq of a snapshot whose replay may still come; 0 where none can. */
  #replayUpTo = 0
  #replayedUpTo = 0
  #isRecovered = false
  /** A list has named another epoch, and no snapshot has said yet what that means. */
  #isInDoubt = false
  /** The state is final, but its final message has not arrived. Only a whole state brings it. */
  #owesFinal = false

  /** The position to resume from. Null: the whole state is needed. */
  get position(): { readonly epoch: string; readonly seq: number } | null {
    return this.#epoch === null || this.#owesFinal ? null : { epoch: this.#epoch, seq: this.#at }
  }

  /** A snapshot, which its replay follows. Tells whether the final message that belongs to it has been told already. */
  open({ epoch, seq, recovered, isFinal }: Opening): boolean {
    // Recovered, it goes on from what has come, in whatever epoch.
    const told = this.position && (recovered || this.position.epoch === epoch) ? this.#at : 0
    this.#epoch = epoch
    this.#isInDoubt = false
    // Recovered, each entry of the replay brings it on. Else the snapshot says it all, but for the final message.
    this.#at = recovered ? told : Math.max(told, seq)
    this.#replayUpTo = seq
    this.#replayedUpTo = told
    this.#isRecovered = recovered
    // A final entry is the last of its round, so it has the seq of its state.
    const hasFinal = isFinal && told >= seq
    this.#owesFinal = isFinal && !hasFinal && !recovered
    return hasFinal
  }

  /** A job of which everything from its first entry on is to be told. */
  static fromStart(epoch: string): Proof {
    return Proof.at(epoch, 0, false)
  }

  /** A job that is known by its state alone, as a list says it. */
  static at(epoch: string, seq: number, isFinal: boolean): Proof {
    const proof = new Proof()
    proof.#epoch = epoch
    proof.#at = seq
    proof.#owesFinal = isFinal
    return proof
  }

  /** A list says where the job is now, and no replay follows. Tells whether something is missing, which then has to be asked for. */
  isBehind(epoch: string, seq: number): boolean {
    this.#replayUpTo = 0
    if (this.#epoch === epoch) return seq > this.#at
    // Another count, or the same history in another epoch: the hub knows, when it is asked from where this client is.
    this.#isInDoubt = true
    return true
  }

  /** Takes the next message; `isFinal`: it ends a round. */
  judge({ seq, prev = seq - 1 }: Place, isFinal: boolean): Verdict {
    if (this.#isInDoubt) return 'gap'
    const isReplay = seq <= this.#replayUpTo
    if (seq <= (isReplay ? this.#replayedUpTo : this.#at)) return 'known'
    // What is live comes after the whole replay.
    if (!isReplay && prev > Math.max(this.#at, this.#replayUpTo)) return 'gap'
    this.#replayedUpTo = seq
    if (!isReplay) this.#replayUpTo = 0
    if (!isReplay || this.#isRecovered) this.#at = seq
    if (isFinal || !isReplay) this.#owesFinal = false
    return isReplay ? 'replay' : 'next'
  }
}
