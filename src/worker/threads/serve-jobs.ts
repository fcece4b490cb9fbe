import { parentPort, workerData } from 'node:worker_threads'
import type { KindDialect } from '../../core/kind.js'
import { loggedOf } from '../../core/log-line.js'
import { type MetricPoint, metricPoint } from '../../core/metric-point.js'
import { jsonValueOf } from '../../protocol/json-value.js'
import { type AnyProcessor, type ArtifactContent, type Processor, Stop } from '../processor.js'
import { lineOf } from '../thrown.js'
import { errorOf, faultOf } from './fault.js'
import { type Answer, type CallName, type FromThread, type ThreadData, type ToThread, weightOf } from './messages.js'

const SIGN_MS = 1000
/**
 * Maximum reports that the pool has not received yet. Beyond it the thread blocks, so that a processor that never
 * awaits is bounded as well.
 */
const MAX_UNRECEIVED = 1000

/** The job in progress. */
interface Current {
  readonly stop: AbortController
  readonly flushes: Map<number, () => void>
  readonly calls: Map<number, (answer: Answer) => void>
}

/** The main function of a thread: computes the jobs that its `ThreadPool` sends, one after the other. */
export function serveJobs<I, D extends KindDialect>(processor: Processor<I, D>): void {
  if (!parentPort) throw new TypeError('serveJobs: call it only in a module that a worker loads as a thread (implement with thread)')
  const port = parentPort
  // set by the pool
  const { send } = new Outlet((message) => port.postMessage(message), (workerData as ThreadData).received)
  let current: Current | undefined
  port.on('message', (message: ToThread) => {
    switch (message.type) {
      case 'start':
        current = { stop: new AbortController(), flushes: new Map(), calls: new Map() }
        return void compute(processor, message, current, send)
      case 'abort':
        return current?.stop.abort(new Stop(message.why))
      case 'flushed':
        return current?.flushes.get(message.flush)?.()
      case 'answered':
        return current?.calls.get(message.call)?.(message.answer)
    }
  })
}

/**
 * Computes one job and reports how it ended. Later messages of an ended job are not sent: they would be assigned to the
 * next job.
 */
async function compute(
  processor: AnyProcessor,
  { id, traceparent, input, reports }: ToThread & { type: 'start' },
  current: Current,
  send: (message: FromThread) => void,
): Promise<void> {
  let hasEnded = false
  const points = new Points((message) => hasEnded || send(message))
  // Points of metrics that wait precede everything else.
  const say = (message: FromThread) => {
    points.flush()
    return hasEnded || send(message)
  }
  // In this event loop: a processor that never yields becomes silent.
  const signs = setInterval(() => say({ type: 'alive' }), SIGN_MS)
  try {
    const job = jobOf({ id, traceparent }, reports, current, { say, points })
    // The input is as the runner passed it, and the reports are as their table names them.
    say({ type: 'done', result: jsonValueOf(await processor(input as never, job as never), 'The result is not valid') })
  } catch (error) {
    say({ type: 'failed', fault: faultOf(error) })
  }
  hasEnded = true
  clearInterval(signs)
  points.close()
}

interface Outgoing {
  readonly say: (message: FromThread) => void
  readonly points: Points
}

let flushCount = 0
let callCount = 0

function jobOf(
  { id, traceparent }: Pick<ToThread & { type: 'start' }, 'id' | 'traceparent'>,
  reports: readonly string[],
  { stop, flushes, calls }: Current,
  { say, points }: Outgoing,
) {
  const flush = () =>
    new Promise<void>((resolve) => {
      const flush = flushCount++
      flushes.set(flush, () => flushes.delete(flush) && resolve())
      say({ type: 'flush', flush })
    })
  // If too many messages have not been received, `say` blocks. So there is room again when the call returns.
  const report = async (name: string, args: readonly unknown[]) => {
    try {
      if (name === 'metric' && points.add(args)) return
      // As JSON: a copy between threads would lose an object's class.
      say({ type: 'report', name, args: name === 'result' ? args.map((value) => jsonValueOf(value, name)) : args })
    } catch (error) {
      say({ type: 'invalid', fault: faultOf(error) })
      throw error
    }
  }
  const call = <T>(name: CallName, ...args: unknown[]) =>
    new Promise<T>((resolve, reject) => {
      const number = callCount++
      calls.set(number, (answer) => {
        calls.delete(number)
        if ('fault' in answer) reject(errorOf(answer.fault))
        else resolve(answer.value as T) // as the member of that name returns it
      })
      say({ type: 'call', call: number, name, args })
    })
  return {
    ...Object.fromEntries(reports.map((name) => [name, (...args: unknown[]) => silent(report(name, args))])),
    id,
    traceparent,
    signal: stop.signal,
    killed: new AbortController().signal, // a thread that is killed does not notice it
    flush,
    log: (value: unknown) => {
      const { level, text: line } = loggedOf(value, lineOf)
      say({ type: 'log', line, ...(level !== undefined && { level }) })
    },
    artifact: (name: string, content: ArtifactContent) => silent(call<void>('artifact', name, content)),
    folder: () => call<string>('folder'),
    alive: () => {},
  }
}

/** Ignores an unhandled rejection. */
function silent(promise: Promise<void>): Promise<void> {
  promise.catch(() => {})
  return promise
}

function pointOf(...[name, value, options]: Parameters<typeof metricPoint>): MetricPoint | null {
  try {
    return metricPoint(name, value, options)
  } catch {
    return null
  }
}

/** Points of a thread wait this long for others, in ms, and no more of them than this wait. */
const POINTS_WAIT_MS = 50
const MAX_POINTS = 500

/**
 * Sends points of metrics together: a message for each would cost more than computing it. The first one goes at once.
 * A processor that never yields sends them with its calls.
 */
class Points {
  readonly #send: (message: FromThread) => void
  #waiting: (readonly unknown[])[] = []
  #sentAt = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | undefined

  constructor(send: (message: FromThread) => void) {
    this.#send = send
  }

  /** False for arguments that are not valid: whoever receives the report says why. */
  add([name, value, options]: readonly unknown[]): boolean {
    const point = pointOf(name, value, options)
    if (!point) return false
    const { unit, step } = point
    const now = performance.now()
    this.#waiting.push([name, value, { unit, ...(step !== null && { step }) }, performance.timeOrigin + now])
    if (now - this.#sentAt >= POINTS_WAIT_MS || this.#waiting.length >= MAX_POINTS) this.flush()
    else this.#timer ??= setTimeout(() => this.flush(), POINTS_WAIT_MS)
    return true
  }

  flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#waiting.length === 0) return
    const points = this.#waiting
    this.#waiting = []
    this.#sentAt = performance.now()
    this.#send({ type: 'metrics', points })
  }

  close(): void {
    clearTimeout(this.#timer)
  }
}

/** Sends messages, and blocks while too many have not been received. */
class Outlet {
  readonly #post: (message: FromThread) => void
  readonly #received: Int32Array
  #sent = 0

  constructor(post: (message: FromThread) => void, received: SharedArrayBuffer) {
    this.#post = post
    this.#received = new Int32Array(received)
  }

  readonly send = (message: FromThread): void => {
    this.#post(message)
    this.#sent = (this.#sent + weightOf(message)) | 0 // both counters overflow alike
    for (;;) {
      const received = Atomics.load(this.#received, 0)
      if (((this.#sent - received) | 0) <= MAX_UNRECEIVED) return
      Atomics.wait(this.#received, 0, received)
    }
  }
}
