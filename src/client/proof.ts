/** The position of a message in its job. */
export interface Sequenced {
  readonly seq: number
  /** The seq that the receiver must have reached before it; default `seq` − 1. */
  readonly prev?: number
}

/** Whether a message has a position in the sequence. */
export function hasSeq(message: object): message is Sequenced {
  return typeof (message as Partial<Sequenced>).seq === 'number'
}

/** The position of a snapshot. */
export interface SnapshotPosition {
  readonly epoch: string
  readonly seq: number
  /** A replay of exactly the missed entries follows. */
  readonly recovered: boolean
  /** The execution has ended: a final message belongs to this state. */
  readonly isFinal: boolean
}

/**
 * `next`: nothing is missing before it. `replay`: it belongs to the last snapshot, whose state is at least as new.
 * `known`: a duplicate. `gap`: a message is missing, and this one must not be used.
 */
export type Verdict = 'next' | 'replay' | 'known' | 'gap'

/**
 * Proves for one job that no message is missing and none is delivered twice (rules POS-1 to POS-3), over any number of
 * connections. Only received messages count, not what a snapshot promises: a replay that was cut off is requested again
 * from where it ended.
 */
export class Proof {
  #epoch: string | null = null
  /** Every persisted entry up to this seq has arrived, or is older than the first snapshot. */
  #at = 0
  /** Seq of a snapshot whose replay may still arrive; 0 if none can. */
  #replayUpTo = 0
  #replayedUpTo = 0
  #isRecovered = false
  /** A list has named another epoch, and no snapshot has clarified yet what that means. */
  #isInDoubt = false
  /** The state is final, but its final message has not arrived. Only a whole state brings it. */
  #isFinalMissing = false
  /** Known only from lists, which bring no final message: nobody waits for it. */
  #isOnlyListed = false

  /** The position to resume from. Null: the whole state is needed. */
  get position(): { readonly epoch: string; readonly seq: number } | null {
    return this.#epoch === null || this.#isFinalMissing ? null : { epoch: this.#epoch, seq: this.#at }
  }

  /** Applies a snapshot, whose replay follows. Returns whether its final message has already been delivered. */
  open({ epoch, seq, recovered, isFinal }: SnapshotPosition): boolean {
    // A recovered snapshot continues from the delivered messages, even in another epoch.
    const delivered = this.position && (recovered || this.position.epoch === epoch) ? this.#at : 0
    this.#epoch = epoch
    this.#isInDoubt = false
    this.#isOnlyListed = false
    // If recovered, each entry of the replay advances the position. Otherwise the snapshot contains everything except
    // the final message.
    this.#at = recovered ? delivered : Math.max(delivered, seq)
    this.#replayUpTo = seq
    this.#replayedUpTo = delivered
    this.#isRecovered = recovered
    // A final entry is the last of its execution, so it has the seq of its state.
    const hasFinal = isFinal && delivered >= seq
    this.#isFinalMissing = isFinal && !hasFinal && !recovered
    return hasFinal
  }

  /** Whether everything up to this seq has arrived. */
  hasReached(seq: number): boolean {
    return seq <= this.#at
  }

  /** A job whose entries are to be delivered from the first one. */
  static fromStart(epoch: string): Proof {
    return Proof.at(epoch, 0, false)
  }

  /** A job that is known only by its state, as from a list. */
  static at(epoch: string, seq: number, isFinal: boolean): Proof {
    const proof = new Proof()
    proof.#epoch = epoch
    proof.#at = seq
    proof.#isFinalMissing = isFinal
    proof.#isOnlyListed = true
    return proof
  }

  /**
   * Compares with the position in a list, which no replay follows. Returns whether something is missing and must be
   * requested.
   */
  isBehind(epoch: string, seq: number): boolean {
    this.#replayUpTo = 0
    // A whole state may have been cut off before its final message.
    if (this.#epoch === epoch) return seq > this.#at || (this.#isFinalMissing && !this.#isOnlyListed)
    // The count is new, or the same history has another epoch. The hub can tell, given the position of this client.
    this.#isInDoubt = true
    return true
  }

  /** Judges the next message. `isFinal`: it ends an execution. */
  judge({ seq, prev = seq - 1 }: Sequenced, isFinal: boolean): Verdict {
    if (this.#isInDoubt) return 'gap'
    const isReplay = seq <= this.#replayUpTo
    if (seq <= (isReplay ? this.#replayedUpTo : this.#at)) return 'known'
    // Live messages follow the whole replay.
    if (!isReplay && prev > Math.max(this.#at, this.#replayUpTo)) return 'gap'
    this.#replayedUpTo = seq
    if (!isReplay) this.#replayUpTo = 0
    if (!isReplay || this.#isRecovered) this.#at = seq
    if (isFinal || !isReplay) this.#isFinalMissing = false
    return isReplay ? 'replay' : 'next'
  }
}
