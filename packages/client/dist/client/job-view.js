const FINAL_STATUS = { completed: 'completed', error: 'failed', cancelled: 'cancelled' };
const NOTHING_FOUND = { evaluated: 0, total: null, generation: 0, feasible: 0, failed: 0 };
export function isSnapshot(message) {
    return message.type === 'status' && 'recovered' in message;
}
export function isFinalMessage(message) {
    return message.type in FINAL_STATUS;
}
export function viewOf(snapshot) {
    const { type: _type, recovered: _recovered, resync: _resync, timestamp: _timestamp, ...state } = snapshot;
    return { ...state, final: null };
}
/** hop 10: the next message, folded into the state. The caller has proved that it is the next one. */
export function apply(before, message) {
    const view = { ...before, stale: false };
    const seq = Math.max(view.seq, message.seq);
    switch (message.type) {
        case 'progress': {
            const { percent, phase, message: text, elapsed_s } = message;
            return { ...view, seq, percent, phase, message: text, elapsed_s };
        }
        case 'metric_update':
            return { ...view, seq, metrics: { ...view.metrics, [message.metric_name]: { value: message.value, unit: message.unit } } };
        case 'optimization_iteration': {
            const { iteration: evaluated, total, generation, counters } = message;
            return { ...view, seq, counters: { evaluated, total, generation, ...counters } };
        }
        case 'pareto_front':
            return { ...view, seq, front: message.points, best: message.best };
        case 'status':
            return { ...applyStatus(view, message), seq };
        case 'completed':
        case 'error':
        case 'cancelled': {
            const { percent = view.percent, phase = view.phase, elapsed_s = view.elapsed_s } = message;
            return { ...view, seq, status: FINAL_STATUS[message.type], percent, phase, elapsed_s, finished_at: message.timestamp, final: message };
        }
        default:
            return { ...view, seq }; // a later version's message: its position counts, its meaning is unknown
    }
}
/** A new attempt, or an explicit retry of what had ended, begins with nothing measured. */
function applyStatus(view, message) {
    const { status, attempt, timestamp } = message;
    const isNewRound = view.finished_at !== null && status === 'queued';
    const cleared = isNewRound || attempt !== view.attempt ? { percent: null, phase: null, message: null, elapsed_s: null, metrics: {} } : {};
    const found = isNewRound && view.counters ? { counters: NOTHING_FOUND, front: [], best: null } : {};
    const started_at = status === 'running' ? (view.started_at ?? timestamp) : view.started_at;
    const round = isNewRound ? { started_at: null, finished_at: null, final: null } : { started_at };
    return { ...view, ...cleared, ...found, ...round, status, attempt };
}
