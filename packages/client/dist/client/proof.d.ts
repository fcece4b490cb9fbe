/** Where a message stands in its job. */
export interface Place {
    readonly seq: number;
    /** The seq that the receiver must have had before; absent it is `seq` − 1. */
    readonly prev?: number;
}
/** What a snapshot says of its place. */
export interface Opening {
    readonly epoch: string;
    readonly seq: number;
    /** Exactly what was missed follows. */
    readonly recovered: boolean;
    /** The round has ended: a final message belongs to this state. */
    readonly isFinal: boolean;
}
/**
 * `next`: nothing is missing before it. `replay`: it belongs to the last snapshot, which says as much or more. `known`: a duplicate. `gap`: something is
 * missing, and the message is not to be used.
 */
export type Verdict = 'next' | 'replay' | 'known' | 'gap';
/**
 * The proof that of one job nothing is missing and nothing is told twice (rules POS-1 to POS-3), over any number of connections. What counts is what has
 * come, not what a snapshot promises: a replay that was cut off is asked for again from where it ended.
 */
export declare class Proof {
    #private;
    /** From where to resume; null: only the whole state will do. */
    get position(): {
        readonly epoch: string;
        readonly seq: number;
    } | null;
    /** A snapshot, which its replay follows. Tells whether the final message that belongs to it has been told already. */
    open({ epoch, seq, recovered, isFinal }: Opening): boolean;
    /** A job of which everything from its first entry on is to be told. */
    static fromStart(epoch: string): Proof;
    /** A job that is known by its state alone, as a list says it. */
    static at(epoch: string, seq: number, isFinal: boolean): Proof;
    /** A list says where the job is now, and no replay follows. Tells whether something is missing, which then has to be asked for. */
    isBehind(epoch: string, seq: number): boolean;
    /** Takes the next message; `isFinal`: it ends a round. */
    judge({ seq, prev }: Place, isFinal: boolean): Verdict;
}
