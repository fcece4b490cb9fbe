/** Opens a user's socket: all active processes, with their positions, and some that have ended. */
export type ProcessList = {
    resync?: true;
    type: "process_list";
    processes: Array<{
        status: "queued" | "running" | "retrying" | "paused" | "cancelling" | "completed" | "failed" | "cancelled";
        attempt: number;
        stale: boolean;
        progress: null | {
            model?: string;
            phase?: string;
            current: number;
            total: null | number;
            detail: string;
        };
        created_at: string;
        started_at: null | string;
        finished_at: null | string;
        seq: number;
        epoch: string;
        process_id: string;
        process_type: string;
    }>;
    recent: Array<{
        status: "queued" | "running" | "retrying" | "paused" | "cancelling" | "completed" | "failed" | "cancelled";
        attempt: number;
        stale: boolean;
        progress: null | {
            model?: string;
            phase?: string;
            current: number;
            total: null | number;
            detail: string;
        };
        created_at: string;
        started_at: null | string;
        finished_at: null | string;
        seq: number;
        epoch: string;
        process_id: string;
        process_type: string;
    }>;
    timestamp: string;
};
export type ProcessMessages = {
    process_queued: {
        reason?: string;
        type: "process_queued";
        timestamp: string;
        process_id: string;
        process_type: string;
    };
    process_started: {
        reason?: string;
        type: "process_started";
        timestamp: string;
        process_id: string;
        process_type: string;
    };
    process_retrying: {
        reason?: string;
        max_attempts?: number;
        delay_ms?: number;
        error?: string;
        type: "process_retrying";
        timestamp: string;
        process_id: string;
        process_type: string;
    };
    process_paused: {
        reason?: string;
        type: "process_paused";
        timestamp: string;
        process_id: string;
        process_type: string;
    };
    process_cancelling: {
        reason?: string;
        type: "process_cancelling";
        timestamp: string;
        process_id: string;
        process_type: string;
    };
    process_progress: {
        type: "process_progress";
        timestamp: string;
        progress: {
            model?: string;
            phase?: string;
            current: number;
            total: null | number;
            detail: string;
        };
        process_id: string;
        process_type: string;
    };
    process_result: {
        type: "process_result";
        timestamp: string;
        process_id: string;
        process_type: string;
        result: object;
    };
    process_completed: {
        progress?: {
            model?: string;
            phase?: string;
            current: number;
            total: null | number;
            detail: string;
        };
        attempts?: number;
        duration_s?: number;
        type: "process_completed";
        timestamp: string;
        process_id: string;
        process_type: string;
        result: object;
        compute_time_s: number;
    };
    process_failed: {
        progress?: {
            model?: string;
            phase?: string;
            current: number;
            total: null | number;
            detail: string;
        };
        attempts?: number;
        duration_s?: number;
        log_tail?: string;
        type: "process_failed";
        timestamp: string;
        process_id: string;
        process_type: string;
        error: string;
        code: "solver_error" | "endpoint_error" | "timeout" | "worker_lost" | "invalid_input";
    };
    process_cancelled: {
        progress?: {
            model?: string;
            phase?: string;
            current: number;
            total: null | number;
            detail: string;
        };
        attempts?: number;
        duration_s?: number;
        forced?: true;
        type: "process_cancelled";
        timestamp: string;
        process_id: string;
        process_type: string;
    };
};
/** How far a process is: `current` of `total` steps; a solver run counts its percent. */
export type ProcessProgress = {
    model?: string;
    phase?: string;
    current: number;
    total: null | number;
    detail: string;
};
/** Opens one process: its state and position; `recovered`: exactly what was missed follows. */
export type ProcessSnapshot = {
    resync?: true;
    type: "subscribed";
    timestamp: string;
    seq: number;
    epoch: string;
    process_id: string;
    process: {
        status: "queued" | "running" | "retrying" | "paused" | "cancelling" | "completed" | "failed" | "cancelled";
        attempt: number;
        stale: boolean;
        progress: null | {
            model?: string;
            phase?: string;
            current: number;
            total: null | number;
            detail: string;
        };
        created_at: string;
        started_at: null | string;
        finished_at: null | string;
        seq: number;
        epoch: string;
        process_id: string;
        process_type: string;
    };
    recovered: boolean;
};
/** The last-known state of a process, whatever its kind. */
export type ProcessView = {
    status: "queued" | "running" | "retrying" | "paused" | "cancelling" | "completed" | "failed" | "cancelled";
    attempt: number;
    stale: boolean;
    progress: null | {
        model?: string;
        phase?: string;
        current: number;
        total: null | number;
        detail: string;
    };
    created_at: string;
    started_at: null | string;
    finished_at: null | string;
    seq: number;
    epoch: string;
    process_id: string;
    process_type: string;
};
