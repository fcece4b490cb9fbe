/** A handler whose event is at least this; written as a method, since each implementation declares an event of its own. */
type Handler<E> = {
    handle(event: E): void;
}['handle'] | null;
/** The part of the WebSocket interface that is used: a browser's own, or the class of `ws`. */
export interface WebSocketLike {
    onopen: Handler<object>;
    onmessage: Handler<{
        readonly data: unknown;
    }>;
    onclose: Handler<{
        readonly code: number;
        readonly reason: string;
    }>;
    onerror: Handler<object>;
    send(text: string): void;
    close(code?: number): void;
}
/** A message of our own hub, of the shapes that `protocol/` declares. */
export interface Received {
    readonly type: string;
}
export type WebSocketClass = new (url: string) => WebSocketLike;
export interface LineOptions {
    readonly url: string;
    /** Without it the connection brings what proves its user: a cookie. */
    readonly token?: (() => string | Promise<string>) | undefined;
    readonly WebSocket: WebSocketClass;
}
/** Told by a line, until it is closed by this side. */
export interface LineOwner {
    received(line: Line, message: Received): void;
    closed(line: Line, code: number, reason: string): void;
}
/** As a WebSocket says of a connection that was cut (RFC 6455, section 7.4.1). */
export declare const NO_CLOSE = 1006;
/** One socket: asks for its token before it opens, since a hub waits for it only a few seconds, and for a new one when the hub warns that it runs out. */
export declare class Line {
    #private;
    constructor(options: LineOptions, owner: LineOwner);
    send(message: object): void;
    /** A socket that is still opening is closed once it is open: browsers warn of one that is closed before. */
    close(): void;
}
export {};
