import type { ProcessList, ProcessSnapshot } from '../protocol/process-messages.js';
import { type ConnectionOptions, type ConnectionState } from './connection.js';
import { type LiveProcessMessage, type Process } from './process-view.js';
/** An answer of the hub that denies a request, or a message that it could not read (`request` null). */
export interface RefusedMessage {
    readonly type: 'refused';
    readonly request: string | null;
    readonly process_id?: string;
    readonly code: string;
    readonly message: string;
}
/** All processes by id: an immutable snapshot. What has not changed is the same object in the next one. */
export type Processes = ReadonlyMap<string, Process>;
export type ProcessesMessage = ProcessList | ProcessSnapshot | LiveProcessMessage | RefusedMessage;
export interface WatchProcessesOptions extends ConnectionOptions {
    /** `ws://…/ws` */
    readonly url: string;
    /** Each message that changed the view, of each process in order, each durable one exactly once. Lists, snapshots and refusals come as they are. */
    readonly onMessage?: (message: ProcessesMessage, view: Processes) => void;
    /** Most processes that have ended of which the view is kept; the oldest go first. At least 32. */
    readonly maxFinished?: number;
}
export interface FollowOptions {
    readonly fromStart?: boolean;
}
interface Subscribe {
    (listener: () => void): () => void;
    (processId: string, options?: FollowOptions): void;
}
/**
 * Follows all processes of the user, and any that it subscribes to, through reconnects and hubs that stop, and proves for each of them that nothing was lost.
 * What began, went on or ended while there was no connection is asked for: of each process exactly what was missed, where its log reaches back.
 */
export declare class ProcessesWatch {
    #private;
    constructor(options: WatchProcessesOptions);
    /** All processes as far as they are known; empty before the first list. */
    get view(): Processes;
    /** How the connection is. */
    get state(): ConnectionState;
    start(): this;
    /** Resolves with the view once there is a list and a condition holds. Rejects when the watch ends before; that need not be caught where nobody awaits it. */
    until(condition: (view: Processes) => boolean): Promise<Processes>;
    /** Asks for the end of a process. Throws while there is no connection. */
    cancel(processId: string): void;
    /**
     * With a function: calls it after each change of `view` or `state`, both immutable, until the function that it returns is called. Bound, as stores of
     * frameworks need it.
     *
     * With an id: follows this process too: one that has ended, for an admin anybody's, or one that was unsubscribed. It comes with what is missing of it, else
     * with its whole state. `fromStart`: of a process of the view its log is told once more from the first entry on, so that all results on the way are there.
     */
    readonly subscribe: Subscribe;
    /** Nothing more of this process comes, over this connection and those to come. */
    unsubscribe(processId: string): void;
    close(): void;
}
/** Watches all processes of a user over any hub; see `ProcessesWatch`. */
export declare function watchProcesses(options: WatchProcessesOptions): ProcessesWatch;
export {};
