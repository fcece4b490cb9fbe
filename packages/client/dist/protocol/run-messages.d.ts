export type RunMessages = {
    progress: {
        type: "progress";
        timestamp: string;
        phase: "meshing" | "solving" | "postprocessing";
        percent: number;
        elapsed_s: number;
        run_id: string;
        message: string;
    };
    metric_update: {
        type: "metric_update";
        timestamp: string;
        run_id: string;
        metric_name: string;
        value: number;
        unit: string;
    };
    status: {
        reason?: string;
        max_attempts?: number;
        delay_ms?: number;
        error?: string;
        type: "status";
        timestamp: string;
        status: "queued" | "running" | "retrying" | "paused" | "cancelling" | "completed" | "failed" | "cancelled";
        run_id: string;
    };
    completed: {
        phase?: string;
        attempts?: number;
        duration_s?: number;
        percent?: number;
        elapsed_s?: number;
        type: "completed";
        timestamp: string;
        status: "completed";
        compute_time_s: number;
        metrics_summary: {
            [name: string]: number;
        };
        run_id: string;
    };
    error: {
        phase?: string;
        attempts?: number;
        duration_s?: number;
        percent?: number;
        elapsed_s?: number;
        type: "error";
        timestamp: string;
        error: string;
        code: "solver_error" | "endpoint_error" | "timeout" | "worker_lost" | "invalid_input";
        run_id: string;
        solver_log_tail: string;
    };
    cancelled: {
        phase?: string;
        attempts?: number;
        duration_s?: number;
        forced?: true;
        percent?: number;
        elapsed_s?: number;
        type: "cancelled";
        timestamp: string;
        run_id: string;
    };
};
/** The snapshot that opens a socket: the whole state in one `status` message. It alone sets a client's position. */
export type RunSnapshot = {
    resync?: boolean;
    recovered?: boolean;
    type: "status";
    timestamp: string;
    status: "queued" | "running" | "retrying" | "paused" | "cancelling" | "completed" | "failed" | "cancelled";
    attempt: number;
    stale: boolean;
    created_at: string;
    started_at: null | string;
    finished_at: null | string;
    seq: number;
    epoch: string;
    phase: null | string;
    percent: null | number;
    elapsed_s: null | number;
    run_id: string;
    metrics: {
        [name: string]: {
            value: number;
            unit: string;
        };
    };
    message: null | string;
};
