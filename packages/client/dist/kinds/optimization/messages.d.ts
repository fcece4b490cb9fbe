export type OptimizationMessages = {
    completed: {
        total?: number;
        phase?: string;
        attempts?: number;
        duration_s?: number;
        evaluated?: number;
        percent?: number;
        elapsed_s?: number;
        type: "completed";
        timestamp: string;
        status: "completed";
        compute_time_s: number;
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
        optimization_id: string;
        metrics_summary: {
            [name: string]: number;
        };
    };
    error: {
        total?: number;
        phase?: string;
        attempts?: number;
        duration_s?: number;
        evaluated?: number;
        percent?: number;
        elapsed_s?: number;
        type: "error";
        timestamp: string;
        error: string;
        code: "solver_error" | "endpoint_error" | "timeout" | "worker_lost" | "invalid_input";
        optimization_id: string;
        solver_log_tail: string;
    };
    cancelled: {
        total?: number;
        phase?: string;
        attempts?: number;
        duration_s?: number;
        forced?: true;
        evaluated?: number;
        percent?: number;
        elapsed_s?: number;
        type: "cancelled";
        timestamp: string;
        optimization_id: string;
    };
    progress: {
        type: "progress";
        timestamp: string;
        total: number;
        phase: "evaluating";
        evaluated: number;
        optimization_id: string;
        percent: number;
        elapsed_s: number;
        message: string;
    };
    optimization_iteration: {
        reason?: string;
        type: "optimization_iteration";
        timestamp: string;
        total: number;
        optimization_id: string;
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
        optimization_id: string;
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
    metric_update: {
        type: "metric_update";
        timestamp: string;
        optimization_id: string;
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
        optimization_id: string;
    };
};
/** The snapshot of an optimization: that of any job, with what has been found so far. */
export type OptimizationSnapshot = {
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
    optimization_id: string;
    percent: null | number;
    elapsed_s: null | number;
    metrics: {
        [name: string]: {
            value: number;
            unit: string;
        };
    };
    message: null | string;
    counters: {
        failed: number;
        total: null | number;
        evaluated: number;
        feasible: number;
        generation: number;
    };
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
