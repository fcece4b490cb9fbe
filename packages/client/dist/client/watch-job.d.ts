import { type ConnectionOptions, type ConnectionState } from './connection.js';
import { type JobSnapshot, type JobView, type LiveMessage } from './job-view.js';
export interface WatchOptions extends ConnectionOptions {
    /** `ws://…/api/v2/ws/runs/<run_id>`, `ws://…/api/v2/ws/optimizations/<optimization_id>` */
    readonly url: string;
    /** Each message that changed the view, in order, each durable one exactly once. The snapshot comes as it is. */
    readonly onMessage?: (message: JobSnapshot | LiveMessage, view: JobView) => void;
}
/** Follows one job through reconnects and hubs that stop, and proves of each message that nothing was lost before it. */
export declare class JobWatch {
    #private;
    constructor(options: WatchOptions);
    /** The state as far as it is known; null before the first snapshot. */
    get view(): JobView | null;
    /** How the connection is. */
    get state(): ConnectionState;
    /** Calls after each change of `view` or `state`, both immutable; the function that it returns calls that off. Bound, as stores of frameworks need it. */
    readonly subscribe: (listener: () => void) => (() => void);
    start(): this;
    /** Resolves with the first state that satisfies a condition. Rejects when the watch ends before; that need not be caught where nobody awaits it. */
    until(condition: (view: JobView) => boolean): Promise<JobView>;
    /** Resolves with the final state, its final message at hand. */
    finished(): Promise<JobView>;
    /** Asks for the end of the job. Throws while there is no connection. */
    cancel(): void;
    close(): void;
}
/** Watches a job over any hub node; see `JobWatch`. */
export declare function watchJob(options: WatchOptions): JobWatch;
