import { isFinal } from '../protocol/status.js';
import { applyProcess, isFinalProcessMessage, newProcess, processOf, replayProcess, } from './process-view.js';
import { Proof } from './proof.js';
import { SharedMap } from './shared-map.js';
/** Fewest processes that have ended to be kept: more than a list names, so that none of a list is taken for a new one. */
const MIN_FINISHED = 32;
/** What is known of a user's processes, each with the proof that nothing of it is missing. Pure: it asks for nothing, and says what has to be asked for. */
export class ProcessLedger {
    #maxFinished;
    #view = new SharedMap();
    #proofs = new Map();
    #hasList = false;
    constructor(maxFinished) {
        this.#maxFinished = Math.max(maxFinished, MIN_FINISHED);
    }
    /** An immutable snapshot: the same one until something changes, and each process in it too. */
    get view() {
        return this.#view.snapshot();
    }
    get hasList() {
        return this.#hasList;
    }
    /** From where a process goes on; null: with its whole state. */
    position(id) {
        return this.#proofs.get(id)?.position ?? null;
    }
    /**
     * Takes a list, and answers what has to be asked for: each process that is ahead of what has come of it, and, after the first list, each that is new in
     * it, since it began while there was no connection.
     */
    list(list, isWanted = () => true) {
        const listed = [...list.recent.toReversed(), ...list.processes.toReversed()].filter(({ process_id }) => isWanted(process_id));
        // The hub brings up to date by itself what it has dropped of processes that it told of.
        const isOwed = (id) => !list.resync || !this.#view.has(id);
        const behind = listed.filter((process) => this.#isBehind(process) && isOwed(process.process_id));
        for (const process of listed)
            this.#take(process);
        this.#hasList = true;
        return behind.map(({ process_id }) => process_id);
    }
    /** Takes a snapshot, which its replay follows. */
    open({ process, process_id: id, epoch, seq, recovered }) {
        let proof = this.#proofs.get(id);
        if (!proof) {
            proof = new Proof();
            this.#proofs.set(id, proof);
        }
        proof.open({ epoch, seq, recovered, isFinal: isFinal(process.status) });
        this.#take(process, recovered);
    }
    /** Takes a message: `told`, it has changed the view; `known`, a duplicate; `gap`, something is missing before it. */
    follow(message) {
        const { process_id: id, epoch, seq, prev = seq - 1 } = message;
        const before = this.#view.get(id);
        if (!this.#proofs.has(id) || (epoch !== undefined && before?.epoch !== epoch)) {
            if (prev > 0)
                return 'gap';
            this.#view.delete(id);
            this.#proofs.set(id, Proof.fromStart(epoch ?? ''));
        }
        const verdict = this.#proofs.get(id)?.judge(message, isFinalProcessMessage(message)) ?? 'gap';
        if (verdict === 'gap' || verdict === 'known')
            return verdict;
        const process = this.#view.get(id) ?? newProcess(message);
        this.#put(message.seq > process.seq ? applyProcess(process, message) : replayProcess(process, message));
        return 'told';
    }
    /** What is told of this process next is told from its first entry on. */
    rewind(id) {
        const process = this.#view.get(id);
        if (!process)
            return;
        this.#proofs.set(id, Proof.fromStart(process.epoch));
        this.#view.set(id, { ...process, results: [] });
    }
    forget(id) {
        this.#view.delete(id);
        this.#proofs.delete(id);
    }
    #isBehind({ process_id: id, epoch, seq, status }) {
        const proof = this.#proofs.get(id);
        if (proof)
            return proof.isBehind(epoch, seq);
        this.#proofs.set(id, this.#hasList ? Proof.fromStart(epoch) : Proof.at(epoch, seq, isFinal(status)));
        return this.#hasList;
    }
    /** Another hub may be a moment behind of what the last one has told. `recovered`: the same history, even in another epoch. */
    #take(state, recovered = false) {
        const known = this.#view.get(state.process_id);
        const before = recovered && known ? { ...known, epoch: state.epoch } : known;
        if (before?.epoch !== state.epoch || state.seq >= before.seq)
            this.#put(processOf(state, before));
    }
    #put(process) {
        const { process_id: id, status } = process;
        const before = this.#view.get(id);
        const hasEnded = isFinal(status) && !(before && isFinal(before.status));
        // To the end of the map: the first of those that have ended are the oldest.
        if (hasEnded)
            this.#view.delete(id);
        this.#view.set(id, process);
        if (hasEnded)
            this.#forgetOldest();
    }
    #forgetOldest() {
        const ended = [...this.#view.values()].filter(({ status }) => isFinal(status));
        for (const { process_id } of ended.slice(0, Math.max(0, ended.length - this.#maxFinished)))
            this.forget(process_id);
    }
}
