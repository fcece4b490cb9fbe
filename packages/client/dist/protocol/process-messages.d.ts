/** Opens a user's socket: all active processes, with their positions, and some that have ended. */
export type ProcessList = {
    resync?: true;
    type: "process_list";
    timestamp: string;
    processes: Array<{
        status: "completed" | "cancelled" | "queued" | "running" | "retrying" | "paused" | "cancelling" | "failed";
        progress: null | {
            phase?: string;
            model?: string;
            total: null | number;
            current: number;
            detail: string;
        };
        attempt: number;
        stale: boolean;
        created_at: string;
        started_at: null | string;
        finished_at: null | string;
        seq: number;
        epoch: string;
        process_id: string;
        process_type: string;
    }>;
    recent: Array<{
        status: "completed" | "cancelled" | "queued" | "running" | "retrying" | "paused" | "cancelling" | "failed";
        progress: null | {
            phase?: string;
            model?: string;
            total: null | number;
            current: number;
            detail: string;
        };
        attempt: number;
        stale: boolean;
        created_at: string;
        started_at: null | string;
        finished_at: null | string;
        seq: number;
        epoch: string;
        process_id: string;
        process_type: string;
    }>;
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
        error?: string;
        max_attempts?: number;
        delay_ms?: number;
        reason?: string;
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
        progress: {
            phase?: string;
            model?: string;
            total: null | number;
            current: number;
            detail: string;
        };
        type: "process_progress";
        timestamp: string;
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
            phase?: string;
            model?: string;
            total: null | number;
            current: number;
            detail: string;
        };
        attempts?: number;
        duration_s?: number;
        type: "process_completed";
        timestamp: string;
        compute_time_s: number;
        process_id: string;
        process_type: string;
        result: object;
    };
    process_failed: {
        progress?: {
            phase?: string;
            model?: string;
            total: null | number;
            current: number;
            detail: string;
        };
        attempts?: number;
        duration_s?: number;
        log_tail?: string;
        error: string;
        type: "process_failed";
        timestamp: string;
        code: "solver_error" | "endpoint_error" | "timeout" | "worker_lost" | "invalid_input";
        process_id: string;
        process_type: string;
    };
    process_cancelled: {
        progress?: {
            phase?: string;
            model?: string;
            total: null | number;
            current: number;
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
/** Opens one process: its state and position; `recovered`: exactly what was missed follows. */
export type ProcessSnapshot = {
    resync?: true;
    type: "subscribed";
    timestamp: string;
    seq: number;
    epoch: string;
    recovered: boolean;
    process_id: string;
    process: {
        status: "completed" | "cancelled" | "queued" | "running" | "retrying" | "paused" | "cancelling" | "failed";
        progress: null | {
            phase?: string;
            model?: string;
            total: null | number;
            current: number;
            detail: string;
        };
        attempt: number;
        stale: boolean;
        created_at: string;
        started_at: null | string;
        finished_at: null | string;
        seq: number;
        epoch: string;
        process_id: string;
        process_type: string;
    };
};
/** The last-known state of a process, whatever its kind. */
export type ProcessView = {
    status: "completed" | "cancelled" | "queued" | "running" | "retrying" | "paused" | "cancelling" | "failed";
    progress: null | {
        phase?: string;
        model?: string;
        total: null | number;
        current: number;
        detail: string;
    };
    attempt: number;
    stale: boolean;
    created_at: string;
    started_at: null | string;
    finished_at: null | string;
    seq: number;
    epoch: string;
    process_id: string;
    process_type: string;
};
