import { isFinal } from '../protocol/status.js';
import { Connection } from './connection.js';
import { apply, isFinalMessage, isSnapshot, viewOf } from './job-view.js';
import { Proof } from './proof.js';
/** Follows one job through reconnects and hubs that stop, and proves of each message that nothing was lost before it. */
export class JobWatch {
    #options;
    #connection;
    #proof = new Proof();
    #view = null;
    constructor(options) {
        this.#options = options;
        this.#connection = new Connection(options, {
            query: () => this.#query(),
            isOpening: isSnapshot,
            receive: (message) => this.#receive(message),
        });
    }
    /** The state as far as it is known; null before the first snapshot. */
    get view() {
        return this.#view;
    }
    /** How the connection is. */
    get state() {
        return this.#connection.state;
    }
    /** Calls after each change of `view` or `state`, both immutable; the function that it returns calls that off. Bound, as stores of frameworks need it. */
    subscribe = (listener) => this.#connection.subscribe(listener);
    start() {
        this.#connection.start();
        return this;
    }
    /** Resolves with the first state that satisfies a condition. Rejects when the watch ends before; that need not be caught where nobody awaits it. */
    until(condition) {
        return this.#connection.when(() => (this.#view && condition(this.#view) ? this.#view : null));
    }
    /** Resolves with the final state, its final message at hand. */
    finished() {
        return this.until((view) => isFinal(view.status) && view.final !== null);
    }
    /** Asks for the end of the job. Throws while there is no connection. */
    cancel() {
        this.#connection.send({ type: 'cancel' });
    }
    close() {
        this.#connection.close();
    }
    #query() {
        const { position } = this.#proof;
        return position ? { after: String(position.seq), epoch: position.epoch } : {};
    }
    #receive(message) {
        if (isSnapshot(message))
            this.#begin(message);
        else if ('seq' in message)
            this.#follow(message); // what has a place is an entry of the job
    }
    #begin(snapshot) {
        const { epoch, seq, status } = snapshot;
        const before = this.#view;
        const hasFinal = this.#proof.open({ epoch, seq, recovered: snapshot.recovered === true, isFinal: isFinal(status) });
        // Another hub may be a moment behind of what the last one has told.
        const isOlder = before?.epoch === epoch && seq < before.seq;
        if (!isOlder)
            this.#view = { ...viewOf(snapshot), final: (hasFinal && before?.final) || null };
        this.#notify(snapshot);
    }
    #follow(message) {
        const view = this.#view;
        if (!view)
            return;
        const isEnd = isFinalMessage(message);
        const verdict = this.#proof.judge(message, isEnd);
        if (verdict === 'gap')
            return this.#connection.reconnect('a message was missing');
        if (verdict === 'known')
            return;
        if (message.seq > view.seq)
            this.#view = apply(view, message);
        // The state says as much as an older message; only the final message adds to it.
        else if (isEnd && message.seq === view.seq)
            this.#view = { ...view, final: message };
        this.#notify(message);
    }
    #notify(message) {
        if (this.#view)
            this.#options.onMessage?.(message, this.#view);
        this.#connection.changed();
    }
}
/** Watches a job over any hub node; see `JobWatch`. */
export function watchJob(options) {
    return new JobWatch(options).start();
}
