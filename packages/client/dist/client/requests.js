/** Most requests that are sent by themselves within a second: hubs take more, but the user of the watch wants to ask as well. */
const PER_SECOND = 30;
const SECOND_MS = 1000;
/**
 * Requests that a watch makes by itself, at a pace that hubs take: one per process at a time, in order. What a hub says was too fast is sent again.
 */
export class Requests {
    #send;
    #waiting = new Map();
    #unanswered = new Map();
    /** Sent in this second. */
    #sent = 0;
    #timer;
    constructor(send) {
        this.#send = send;
    }
    /** Does nothing where a request about this process is under way. */
    add(request) {
        const { process_id } = request;
        if (this.#waiting.has(process_id) || this.#unanswered.has(process_id))
            return;
        this.#waiting.set(process_id, request);
        this.#flush();
    }
    answered(processId) {
        this.#unanswered.delete(processId);
        this.#waiting.delete(processId);
    }
    /** Takes the place of what was asked about this process. */
    replace(request) {
        this.answered(request.process_id);
        this.add(request);
    }
    /** This one is to be asked later; without an id some were too fast, and it is not known which. */
    again(processId) {
        for (const [id, request] of this.#unanswered) {
            if (processId !== undefined && processId !== id)
                continue;
            this.#unanswered.delete(id);
            this.#waiting.set(id, request);
        }
        this.#sent = PER_SECOND;
        this.#schedule();
    }
    /** The connection is another one: nothing that was asked for will be answered. */
    clear() {
        this.#waiting.clear();
        this.#unanswered.clear();
        clearTimeout(this.#timer);
        this.#timer = undefined;
        this.#sent = 0;
    }
    #flush() {
        for (const [id, request] of this.#waiting) {
            if (this.#sent >= PER_SECOND)
                break;
            this.#waiting.delete(id);
            this.#unanswered.set(id, request);
            this.#sent += 1;
            this.#send(request);
        }
        if (this.#sent > 0)
            this.#schedule();
    }
    #schedule() {
        this.#timer ??= setTimeout(() => {
            this.#timer = undefined;
            this.#sent = 0;
            this.#flush();
        }, SECOND_MS);
    }
}
