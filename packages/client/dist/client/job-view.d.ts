import type { OptimizationMessages, OptimizationSnapshot } from '../kinds/optimization/messages.js';
import type { RunMessages, RunSnapshot } from '../protocol/run-messages.js';
import type { Place } from './proof.js';
export type StatusChange = RunMessages['status'] & Place & {
    readonly attempt: number;
};
export type FinalMessage = (RunMessages['completed'] | RunMessages['error'] | RunMessages['cancelled']) & Place;
export type LiveMessage = StatusChange | FinalMessage | ((RunMessages['progress'] | RunMessages['metric_update']) & Place) | (OptimizationMessages['optimization_iteration' | 'pareto_front'] & Place);
/** The state of a job as a client knows it: the snapshot, and every message since folded into it. */
export type JobView = Omit<RunSnapshot, 'type' | 'run_id' | 'recovered' | 'resync' | 'timestamp'> & {
    /** Of a run its id, of an optimization `optimization_id`. */
    readonly run_id?: string;
    readonly optimization_id?: string;
    /** Of an optimization: what it has found so far. */
    readonly counters?: OptimizationSnapshot['counters'];
    readonly front?: OptimizationSnapshot['front'];
    readonly best?: OptimizationSnapshot['best'];
    /** The final message of this round. */
    readonly final: FinalMessage | null;
};
/** Opens the socket of a job in the run dialect. */
export type JobSnapshot = RunSnapshot | OptimizationSnapshot;
export declare function isSnapshot(message: {
    readonly type: string;
}): message is JobSnapshot;
export declare function isFinalMessage(message: LiveMessage): message is FinalMessage;
export declare function viewOf(snapshot: JobSnapshot): JobView;
/** hop 10: the next message, folded into the state. The caller has proved that it is the next one. */
export declare function apply(before: JobView, message: LiveMessage): JobView;
