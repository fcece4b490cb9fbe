import { CODES } from '../protocol/codes.js';
import { isFinal } from '../protocol/status.js';
import { Connection } from './connection.js';
import { ProcessLedger } from './process-ledger.js';
import { isProcessList, isProcessSnapshot } from './process-view.js';
import { Requests } from './requests.js';
const DEFAULT_MAX_FINISHED = 100;
/** Most processes that are remembered as unsubscribed. */
const MAX_UNWANTED = 256;
/**
 * Follows all processes of the user, and any that it subscribes to, through reconnects and hubs that stop, and proves for each of them that nothing was lost.
 * What began, went on or ended while there was no connection is asked for: of each process exactly what was missed, where its log reaches back.
 */
export class ProcessesWatch {
    #options;
    #connection;
    #ledger;
    #requests = new Requests((request) => this.#connection.isGood && this.#connection.send(request));
    /** Subscribed to by the user of the watch: asked for at each connect. */
    #wanted = new Set();
    #unwanted = new Set();
    constructor(options) {
        this.#options = options;
        this.#ledger = new ProcessLedger(options.maxFinished ?? DEFAULT_MAX_FINISHED);
        this.#connection = new Connection(options, {
            query: () => ({}),
            isOpening: (message) => isProcessList(message) && !message.resync,
            receive: (message) => this.#receive(message),
        });
    }
    /** All processes as far as they are known; empty before the first list. */
    get view() {
        return this.#ledger.view;
    }
    /** How the connection is. */
    get state() {
        return this.#connection.state;
    }
    start() {
        this.#connection.start();
        return this;
    }
    /** Resolves with the view once there is a list and a condition holds. Rejects when the watch ends before; that need not be caught where nobody awaits it. */
    until(condition) {
        return this.#connection.when(() => (this.#ledger.hasList && condition(this.view) ? this.view : null));
    }
    /** Asks for the end of a process. Throws while there is no connection. */
    cancel(processId) {
        this.#connection.send({ type: 'cancel_process', process_id: processId });
    }
    /**
     * With a function: calls it after each change of `view` or `state`, both immutable, until the function that it returns is called. Bound, as stores of
     * frameworks need it.
     *
     * With an id: follows this process too: one that has ended, for an admin anybody's, or one that was unsubscribed. It comes with what is missing of it, else
     * with its whole state. `fromStart`: of a process of the view its log is told once more from the first entry on, so that all results on the way are there.
     */
    subscribe = ((what, options) => typeof what === 'string' ? this.#subscribe(what, options) : this.#connection.subscribe(what)); // one overload each
    /** Nothing more of this process comes, over this connection and those to come. */
    unsubscribe(processId) {
        this.#wanted.delete(processId);
        this.#unwanted.add(processId);
        for (const oldest of this.#unwanted)
            if (this.#unwanted.size > MAX_UNWANTED)
                this.#unwanted.delete(oldest);
        this.#ledger.forget(processId);
        this.#requests.replace({ type: 'unsubscribe', process_id: processId });
        this.#connection.changed();
    }
    close() {
        this.#requests.clear();
        this.#connection.close();
    }
    #subscribe(processId, { fromStart = false } = {}) {
        this.#unwanted.delete(processId);
        this.#wanted.add(processId);
        if (fromStart)
            this.#ledger.rewind(processId);
        this.#requests.answered(processId);
        this.#ask(processId);
    }
    #receive(message) {
        if (isProcessList(message))
            this.#list(message);
        else if (isProcessSnapshot(message))
            this.#open(message);
        else if (message.type === 'refused')
            this.#refused(message);
        else if (message.type === 'unsubscribed')
            this.#requests.answered(message.process_id);
        else if ('seq' in message && 'process_id' in message)
            this.#follow(message); // what has a place is an entry of a process
    }
    /** A list opens each connection, and follows a backlog that was dropped. */
    #list(list) {
        // An answer may have been dropped with the backlog; over another connection none will come.
        if (list.resync)
            this.#requests.again();
        else
            this.#requests.clear();
        for (const id of this.#ledger.list(list, (id) => !this.#unwanted.has(id)))
            this.#ask(id);
        if (!list.resync) {
            const listed = new Set([...list.processes, ...list.recent].map(({ process_id }) => process_id));
            for (const id of listed)
                if (this.#unwanted.has(id))
                    this.#requests.add({ type: 'unsubscribe', process_id: id });
            // What went on and is not in the list has ended longer ago, has expired, or is not this user's.
            const going = [...this.view.values()].filter(({ status }) => !isFinal(status)).map(({ process_id }) => process_id);
            for (const id of new Set([...going, ...this.#wanted]))
                if (!listed.has(id))
                    this.#ask(id);
        }
        this.#notify(list);
    }
    #open(snapshot) {
        const { process_id: id } = snapshot;
        if (this.#unwanted.has(id))
            return;
        this.#requests.answered(id);
        this.#ledger.open(snapshot);
        this.#notify(snapshot);
    }
    #follow(message) {
        const { process_id: id } = message;
        if (this.#unwanted.has(id))
            return;
        const verdict = this.#ledger.follow(message);
        if (verdict === 'gap')
            this.#ask(id);
        else if (verdict === 'told')
            this.#notify(message);
    }
    #refused(message) {
        const { request, process_id: id, code } = message;
        if (request === null)
            this.#requests.again();
        else if (request === 'subscribe' && id !== undefined) {
            if (CODES[code]?.reconnect)
                this.#requests.again(id);
            else
                this.#requests.answered(id);
            if (code === 'not_found') {
                this.#wanted.delete(id);
                this.#ledger.forget(id);
            }
        }
        this.#notify(message);
    }
    /** Without a connection the next list says what to ask for. */
    #ask(id) {
        const position = this.#ledger.position(id);
        const after = position && { after: position.seq, epoch: position.epoch };
        if (this.#connection.isGood)
            this.#requests.add({ type: 'subscribe', process_id: id, ...after });
    }
    #notify(message) {
        this.#options.onMessage?.(message, this.view);
        this.#connection.changed();
    }
}
/** Watches all processes of a user over any hub; see `ProcessesWatch`. */
export function watchProcesses(options) {
    return new ProcessesWatch(options).start();
}
