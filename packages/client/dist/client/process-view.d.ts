import type { ProcessList, ProcessMessages, ProcessSnapshot, ProcessView } from '../protocol/process-messages.js';
import type { Place } from './proof.js';
/** What a message of a process has beside its own fields. `epoch` stands in the first one where no snapshot has told it. */
interface Placed extends Place {
    readonly epoch?: string;
}
export type FinalProcessMessage = ProcessMessages[keyof typeof FINAL_STATUS] & Placed;
export type ProcessChange = ProcessMessages[keyof typeof CHANGED_STATUS] & Placed & {
    readonly attempt: number;
};
export type LiveProcessMessage = FinalProcessMessage | ProcessChange | (ProcessMessages['process_progress'] & Placed) | (ProcessMessages['process_result'] & Placed);
/** A process as a client knows it: a state that it was told, and every message since folded into it. */
export type Process = ProcessView & {
    /** Results on the way that this watch was told in this attempt, the newest `MAX_RESULTS`. */
    readonly results: readonly Readonly<Record<string, unknown>>[];
    /** The final message of this round, as far as it was told: a list says only that a process has ended. */
    readonly final: FinalProcessMessage | null;
};
/** Most results that a view keeps of one process. */
export declare const MAX_RESULTS = 1000;
declare const FINAL_STATUS: {
    readonly process_completed: "completed";
    readonly process_failed: "failed";
    readonly process_cancelled: "cancelled";
};
declare const CHANGED_STATUS: {
    readonly process_queued: "queued";
    readonly process_started: "running";
    readonly process_retrying: "retrying";
    readonly process_paused: "paused";
    readonly process_cancelling: "cancelling";
};
export declare function isProcessList(message: {
    readonly type: string;
}): message is ProcessList;
export declare function isProcessSnapshot(message: {
    readonly type: string;
}): message is ProcessSnapshot;
export declare function isFinalProcessMessage(message: LiveProcessMessage): message is FinalProcessMessage;
/** A state that was told, with what is known beside it as far as it belongs to the same attempt of the same round. */
export declare function processOf(state: ProcessView, before: Process | undefined): Process;
/** A process of which the first message has come. */
export declare function newProcess({ process_id, process_type, timestamp, epoch }: LiveProcessMessage): Process;
/** The next message, folded into the state. The caller has proved that it is the next one. */
export declare function applyProcess(before: Process, message: LiveProcessMessage): Process;
/** An older message, which the state says already, but for the story: results on the way, and the final message. */
export declare function replayProcess(process: Process, message: LiveProcessMessage): Process;
export {};
