import { type Received, type WebSocketClass } from './line.js';
export interface ConnectionOptions {
    /** `wss://…` or `ws://…`; with a query of its own, where it has one. In a page it may be relative to the page. */
    readonly url: string;
    /** Asked for before each connect and when the hub warns that the last one runs out. Goes in a message, never in the URL. A page that is logged in by a cookie needs none. */
    readonly token?: () => string | Promise<string>;
    /** The class of `ws` where there is no global one (Node before 22). */
    readonly WebSocket?: WebSocketClass;
    /** The watch has ended and will not connect again: by `close()`, or for a reason that reconnecting cannot mend. */
    readonly onEnd?: (reason: EndReason) => void;
    /** First and longest delay between connects, in ms. Doubled each time, with jitter. */
    readonly backoffMs?: {
        readonly first: number;
        readonly longest: number;
    };
}
export interface EndReason {
    readonly code: number;
    readonly reason: string;
}
/** Immutable: each change is another object. */
export interface ConnectionState {
    /** `connecting`: for the first time. `online`: the state is there and up to date. `ended`: for good. */
    readonly status: 'connecting' | 'online' | 'reconnecting' | 'ended';
    /** Why the last connection was lost, or why the watch has ended. */
    readonly reason: EndReason | null;
    /** When the next attempt begins, in ms since the epoch; null where none is planned, or one is under way. */
    readonly nextAttemptAt: number | null;
}
/** What is said over a connection, and from where the next one goes on. */
export interface Dialogue {
    /** Parameters of the next connect. */
    query(): Readonly<Record<string, string>>;
    /** Whether a message is the first one that a connection brings of what is watched. */
    isOpening(message: Received): boolean;
    receive(message: Received): void;
}
/**
 * A watch's way to any hub, kept up over cuts, renewals and hubs that stop:
 *
 *   connecting ──opening──► good ──drain──► good, with a second line on its way ──its opening──► good, on the second alone
 *        ▲───── backoff ─────┴── close ────────────────┘
 */
export declare class Connection {
    #private;
    /** Throws a TypeError where the URL is none, or there is no WebSocket. */
    constructor(options: ConnectionOptions, dialogue: Dialogue);
    start(): void;
    get state(): ConnectionState;
    /** Calls after each change of the state or of what is watched; the function that it returns calls that off. */
    subscribe(listener: () => void): () => void;
    /** Whether a message can be sent now. */
    get isGood(): boolean;
    /** Throws while there is no connection. */
    send(message: object): void;
    /** Connects anew at once, from what is proved now. */
    reconnect(reason: string): void;
    close(reason?: EndReason): void;
    /** Resolves with the first answer that is not null; asks again after each `changed`. Rejects when the watch ends before; who does not await it need not catch that. */
    when<T>(answer: () => T | null): Promise<T>;
    changed(): void;
}
