/** A hub warns again at once where a token lives shorter than its warning. */
const RENEWAL_PAUSE_MS = 1000;
/** A line that says nothing for so long is asked for a sign of life, and is dead without an answer: the WebSocket of a browser never tells of a cut. */
const PING_AFTER_MS = 25_000;
const ANSWER_MS = 10_000;
/** As a WebSocket says of a connection that was cut (RFC 6455, section 7.4.1). */
export const NO_CLOSE = 1006;
/** A line that does not open in this time is given up. */
const OPENING_MS = 20_000;
/** Where no newer token was to be had. */
const RENEWAL_RETRY_MS = 5000;
/** One socket: asks for its token before it opens, since a hub waits for it only a few seconds, and for a new one when the hub warns that it runs out. */
export class Line {
    #options;
    #owner;
    #socket;
    #isOpen = false;
    #isClosed = false;
    #warning = '';
    #renewedAt = Number.NEGATIVE_INFINITY;
    #timer;
    #lifeTimer;
    constructor(options, owner) {
        this.#options = options;
        this.#owner = owner;
        this.#askToken((token) => this.#open(token), (error) => this.#lose(error instanceof Error ? error.message : String(error)));
    }
    send(message) {
        this.#socket?.send(JSON.stringify(message));
    }
    /** A socket that is still opening is closed once it is open: browsers warn of one that is closed before. */
    close() {
        this.#end();
        if (this.#isOpen)
            this.#socket?.close(1000);
        else if (this.#socket)
            this.#lifeTimer = setTimeout(() => this.#socket?.close(), OPENING_MS);
    }
    #open(token) {
        const socket = new this.#options.WebSocket(this.#options.url);
        this.#socket = socket;
        this.#lifeTimer = setTimeout(() => this.#die(), OPENING_MS);
        socket.onopen = () => {
            this.#isOpen = true;
            clearTimeout(this.#lifeTimer);
            if (this.#isClosed)
                return socket.close(1000);
            this.#watchLife();
            if (token !== undefined)
                this.send({ type: 'auth', token });
        };
        socket.onmessage = ({ data }) => {
            const message = JSON.parse(String(data));
            if (this.#isClosed)
                return;
            this.#watchLife();
            if (message.type === 'pong')
                return;
            if (message.type === 'token_expiring')
                this.#renew(message.expires_at ?? '');
            else if (message.type === 'refused' && message.request === 'auth')
                this.#renewIn(RENEWAL_RETRY_MS);
            else
                this.#owner.received(this, message);
        };
        socket.onerror = () => { }; // a close follows
        socket.onclose = ({ code, reason }) => {
            clearTimeout(this.#lifeTimer);
            if (this.#isClosed)
                return;
            this.#end();
            this.#owner.closed(this, code, reason);
        };
    }
    #watchLife() {
        clearTimeout(this.#lifeTimer);
        this.#lifeTimer = setTimeout(() => {
            this.send({ type: 'ping' });
            this.#lifeTimer = setTimeout(() => this.#die(), ANSWER_MS);
        }, PING_AFTER_MS);
    }
    /** Nothing is heard any more: what the socket itself will say of it may come in minutes, or never. */
    #die() {
        this.#socket?.close();
        this.#lose('no answer');
    }
    #lose(reason) {
        if (this.#isClosed)
            return;
        this.#end();
        this.#owner.closed(this, NO_CLOSE, reason);
    }
    /** Once per warning. One that tells of the same end again tells that the new token was no newer: then later. Where none comes, the hub closes in the end. */
    #renew(expiresAt) {
        const pauseMs = expiresAt === this.#warning ? RENEWAL_RETRY_MS : RENEWAL_PAUSE_MS;
        this.#warning = expiresAt;
        this.#renewIn(this.#renewedAt + pauseMs - performance.now());
    }
    #renewIn(ms) {
        clearTimeout(this.#timer);
        if (!this.#options.token)
            return;
        this.#timer = setTimeout(() => {
            this.#renewedAt = performance.now();
            this.#askToken((token) => this.send({ type: 'auth', token }), () => this.#renewIn(RENEWAL_RETRY_MS));
        }, Math.max(0, ms));
    }
    /** Does nothing once the line is closed. Answers undefined where no token is needed. */
    #askToken(answered, failed) {
        const unlessClosed = (act) => (value) => this.#isClosed ? undefined : act(value);
        Promise.resolve()
            .then(() => this.#options.token?.())
            .then(unlessClosed(answered))
            .catch(unlessClosed(failed));
    }
    #end() {
        this.#isClosed = true;
        clearTimeout(this.#timer);
        clearTimeout(this.#lifeTimer);
    }
}
