export type RunMessages = {
    progress: {
        type: "progress";
        timestamp: string;
        percent: number;
        phase: "meshing" | "postprocessing" | "solving";
        elapsed_s: number;
        run_id: string;
        message: string;
    };
    metric_update: {
        type: "metric_update";
        metric_name: string;
        value: number;
        unit: string;
        timestamp: string;
        run_id: string;
    };
    status: {
        error?: string;
        max_attempts?: number;
        delay_ms?: number;
        reason?: string;
        status: "completed" | "cancelled" | "queued" | "running" | "retrying" | "paused" | "cancelling" | "failed";
        type: "status";
        timestamp: string;
        run_id: string;
    };
    completed: {
        percent?: number;
        phase?: string;
        elapsed_s?: number;
        attempts?: number;
        duration_s?: number;
        status: "completed";
        type: "completed";
        timestamp: string;
        compute_time_s: number;
        metrics_summary: {
            [name: string]: number;
        };
        run_id: string;
    };
    error: {
        percent?: number;
        phase?: string;
        elapsed_s?: number;
        attempts?: number;
        duration_s?: number;
        error: string;
        type: "error";
        timestamp: string;
        run_id: string;
        solver_log_tail: string;
        code: "solver_error" | "endpoint_error" | "timeout" | "worker_lost" | "invalid_input";
    };
    cancelled: {
        percent?: number;
        phase?: string;
        elapsed_s?: number;
        attempts?: number;
        duration_s?: number;
        forced?: true;
        type: "cancelled";
        timestamp: string;
        run_id: string;
    };
};
/** The snapshot that opens a socket: the whole state in one `status` message. It alone sets a client's position. */
export type RunSnapshot = {
    recovered?: boolean;
    resync?: boolean;
    status: "completed" | "cancelled" | "queued" | "running" | "retrying" | "paused" | "cancelling" | "failed";
    type: "status";
    timestamp: string;
    percent: null | number;
    phase: null | string;
    elapsed_s: null | number;
    run_id: string;
    metrics: {
        [name: string]: {
            value: number;
            unit: string;
        };
    };
    message: null | string;
    attempt: number;
    stale: boolean;
    created_at: string;
    started_at: null | string;
    finished_at: null | string;
    seq: number;
    epoch: string;
};
