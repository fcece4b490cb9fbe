export type OptimizationMessages = {
    metric_update: {
        optimization_id: string;
        type: "metric_update";
        metric_name: string;
        value: number;
        unit: string;
        timestamp: string;
    };
    status: {
        error?: string;
        max_attempts?: number;
        delay_ms?: number;
        reason?: string;
        status: "completed" | "cancelled" | "queued" | "running" | "retrying" | "paused" | "cancelling" | "failed";
        optimization_id: string;
        type: "status";
        timestamp: string;
    };
    completed: {
        percent?: number;
        phase?: string;
        elapsed_s?: number;
        attempts?: number;
        duration_s?: number;
        evaluated?: number;
        total?: number;
        status: "completed";
        optimization_id: string;
        type: "completed";
        timestamp: string;
        compute_time_s: number;
        metrics_summary: {
            [name: string]: number;
        };
        best: null | {
            iteration: number;
            run_id: string;
            parameters: {
                [name: string]: number;
            };
            metrics: {
                [name: string]: number;
            };
        };
        stopped: "done" | "plateau";
    };
    error: {
        percent?: number;
        phase?: string;
        elapsed_s?: number;
        attempts?: number;
        duration_s?: number;
        evaluated?: number;
        total?: number;
        error: string;
        optimization_id: string;
        type: "error";
        timestamp: string;
        solver_log_tail: string;
        code: "solver_error" | "endpoint_error" | "timeout" | "worker_lost" | "invalid_input";
    };
    cancelled: {
        percent?: number;
        phase?: string;
        elapsed_s?: number;
        attempts?: number;
        duration_s?: number;
        evaluated?: number;
        total?: number;
        forced?: true;
        optimization_id: string;
        type: "cancelled";
        timestamp: string;
    };
    progress: {
        optimization_id: string;
        type: "progress";
        timestamp: string;
        percent: number;
        phase: "evaluating";
        elapsed_s: number;
        evaluated: number;
        total: number;
        message: string;
    };
    optimization_iteration: {
        reason?: string;
        optimization_id: string;
        type: "optimization_iteration";
        timestamp: string;
        total: number;
        iteration: number;
        run_id: string;
        parameters: {
            [name: string]: number;
        };
        metrics: {
            [name: string]: number;
        };
        feasible: boolean;
        pareto_updated: boolean;
        generation: number;
        violation: null | number;
        counters: {
            failed: number;
            feasible: number;
        };
    };
    pareto_front: {
        optimization_id: string;
        type: "pareto_front";
        timestamp: string;
        best: null | {
            iteration: number;
            run_id: string;
            parameters: {
                [name: string]: number;
            };
            metrics: {
                [name: string]: number;
            };
        };
        iteration: number;
        size: number;
        points: Array<{
            iteration: number;
            run_id: string;
            parameters: {
                [name: string]: number;
            };
            metrics: {
                [name: string]: number;
            };
        }>;
    };
};
/** The snapshot of an optimization: that of any job, with what has been found so far. */
export type OptimizationSnapshot = {
    recovered?: boolean;
    resync?: boolean;
    status: "completed" | "cancelled" | "queued" | "running" | "retrying" | "paused" | "cancelling" | "failed";
    optimization_id: string;
    type: "status";
    timestamp: string;
    percent: null | number;
    phase: null | string;
    elapsed_s: null | number;
    best: null | {
        iteration: number;
        run_id: string;
        parameters: {
            [name: string]: number;
        };
        metrics: {
            [name: string]: number;
        };
    };
    metrics: {
        [name: string]: {
            value: number;
            unit: string;
        };
    };
    message: null | string;
    counters: {
        failed: number;
        evaluated: number;
        total: null | number;
        feasible: number;
        generation: number;
    };
    attempt: number;
    stale: boolean;
    created_at: string;
    started_at: null | string;
    finished_at: null | string;
    seq: number;
    epoch: string;
    front: Array<{
        iteration: number;
        run_id: string;
        parameters: {
            [name: string]: number;
        };
        metrics: {
            [name: string]: number;
        };
    }>;
};
