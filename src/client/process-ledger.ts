import type { ProcessList, ProcessSnapshot, ProcessView, ProcessWords } from '../protocol/process-messages.js'
import { isFinal } from '../protocol/status.js'
import { applyWords } from './job-view.js'
import {
  applyProcess,
  isFinalProcessMessage,
  type LiveProcessMessage,
  newProcess,
  type Process,
  processOf,
  replayProcess,
} from './process-view.js'
import { Proof } from './proof.js'
import { SharedMap } from './shared-map.js'

/** Minimum of ended processes to keep: more than a list contains, so that none of a list is mistaken for a new one. */
const MIN_FINISHED = 32

/**
 * The known processes of a user, each with the proof that no message is missing. It sends nothing; its methods return
 * which processes to request.
 */
export class ProcessLedger {
  readonly #maxFinished: number
  readonly #view = new SharedMap<Process>()
  readonly #proofs = new Map<string, Proof>()
  #hasList = false

  constructor(maxFinished: number) {
    this.#maxFinished = Math.max(maxFinished, MIN_FINISHED)
  }

  /** An immutable snapshot. Unchanged maps and unchanged processes are the same objects. */
  get view(): ReadonlyMap<string, Process> {
    return this.#view.snapshot()
  }

  get hasList(): boolean {
    return this.#hasList
  }

  /** The resume position of a process; null if its whole state is needed. */
  position(id: string): Proof['position'] {
    return this.#proofs.get(id)?.position ?? null
  }

  /**
   * Applies a list and returns the ids to request: each process that is ahead of the received messages and, after the
   * first list, each process that is new in it, since it started while there was no connection.
   */
  list(list: ProcessList, isWanted: (id: string) => boolean = () => true): string[] {
    const listed = [...list.recent.toReversed(), ...list.processes.toReversed()].filter(({ process_id }) => isWanted(process_id))
    // After a resync the hub itself sends what it dropped for known processes that are active. It may no longer follow
    // those that have ended.
    const isSent = ({ process_id: id, status }: ProcessView) => list.resync && this.#view.has(id) && !isFinal(status)
    const behind = listed.filter((process) => this.#isBehind(process) && !isSent(process))
    for (const process of listed) this.#applyState(process)
    this.#hasList = true
    return behind.map(({ process_id }) => process_id)
  }

  /**
   * Whether a snapshot continues from messages that have not arrived. A hub counts a process of a list as delivered,
   * and may send such a snapshot before it has the request for the process.
   */
  isBefore({ process_id: id, recovered, after = 0 }: ProcessSnapshot): boolean {
    return recovered && after > 0 && !this.#proofs.get(id)?.hasReached(after)
  }

  /** Applies a snapshot. Its replay follows. */
  open({ process, process_id: id, epoch, seq, recovered }: ProcessSnapshot): void {
    let proof = this.#proofs.get(id)
    if (!proof) {
      proof = new Proof()
      this.#proofs.set(id, proof)
    }
    proof.open({ epoch, seq, recovered, isFinal: isFinal(process.status) })
    this.#applyState(process, recovered)
  }

  /**
   * Applies a message. `applied`: the view has changed. `known`: a duplicate. `gap`: a message before it is missing.
   */
  follow(message: LiveProcessMessage): 'applied' | 'known' | 'gap' {
    const { process_id: id, epoch, seq, prev = seq - 1 } = message
    const before = this.#view.get(id)
    if (!this.#proofs.has(id) || (epoch !== undefined && before?.epoch !== epoch)) {
      if (prev > 0) return 'gap'
      this.#view.delete(id)
      this.#proofs.set(id, Proof.fromStart(epoch ?? ''))
    }
    const verdict = this.#proofs.get(id)?.judge(message, isFinalProcessMessage(message)) ?? 'gap'
    if (verdict === 'gap' || verdict === 'known') return verdict
    const process = this.#view.get(id) ?? newProcess(message)
    this.#put(message.seq > process.seq ? applyProcess(process, message) : replayProcess(process, message))
    return 'applied'
  }

  /** Applies changed words. Returns whether the process is known. */
  rename(message: ProcessWords): boolean {
    const process = this.#view.get(message.process_id)
    if (process)
      this.#view.set(message.process_id, applyWords(process, message as typeof message & { metadata: Record<string, unknown> | null }))
    return process !== undefined
  }

  /** Prepares a process for a replay from its first entry. */
  rewind(id: string): void {
    const process = this.#view.get(id)
    if (!process) return
    this.#proofs.set(id, Proof.fromStart(process.epoch))
    this.#view.set(id, { ...process, results: [] })
  }

  forget(id: string): void {
    this.#view.delete(id)
    this.#proofs.delete(id)
  }

  #isBehind({ process_id: id, epoch, seq, status }: ProcessView): boolean {
    const proof = this.#proofs.get(id)
    if (proof) return proof.isBehind(epoch, seq)
    this.#proofs.set(id, this.#hasList ? Proof.fromStart(epoch) : Proof.at(epoch, seq, isFinal(status)))
    return this.#hasList
  }

  /** Another hub may be slightly behind the last one. `recovered`: the same history, even in another epoch. */
  #applyState(state: ProcessView, recovered = false): void {
    const known = this.#view.get(state.process_id)
    const before = recovered && known ? { ...known, epoch: state.epoch } : known
    if (before?.epoch !== state.epoch || state.seq >= before.seq) this.#put(processOf(state, before))
  }

  #put(process: Process): void {
    const { process_id: id, status } = process
    const before = this.#view.get(id)
    const hasEnded = isFinal(status) && !(before && isFinal(before.status))
    // Moves it to the end of the map, so that the first ended ones are the oldest.
    if (hasEnded) this.#view.delete(id)
    this.#view.set(id, process)
    if (hasEnded) this.#forgetOldest()
  }

  #forgetOldest(): void {
    const ended = [...this.#view.values()].filter(({ status }) => isFinal(status))
    for (const { process_id } of ended.slice(0, Math.max(0, ended.length - this.#maxFinished))) this.forget(process_id)
  }
}
