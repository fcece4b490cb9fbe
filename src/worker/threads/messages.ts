import type { LogLevel } from '../../protocol/log-messages.js'
import type { JobFailure, StopCause } from '../processor.js'

/** The initial data of a thread. */
export interface ThreadData {
  /** Number of reports of the thread that were received (`weightOf`), as one shared Int32. */
  readonly received: SharedArrayBuffer
}

/** Members of a job that a thread calls, and whose result it waits for. */
export type CallName = 'artifact' | 'folder'

export type Answer = { readonly value: unknown } | { readonly fault: Fault }

/** To a thread. `reports`: names of the reports of this kind. */
export type ToThread =
  | {
      readonly type: 'start'
      readonly id: string
      readonly traceparent: string | undefined
      readonly input: unknown
      readonly reports: readonly string[]
    }
  | { readonly type: 'abort'; readonly why: StopCause }
  | { readonly type: 'flushed'; readonly flush: number }
  | { readonly type: 'answered'; readonly call: number; readonly answer: Answer }

/**
 * From a thread. `metrics`: the arguments of reports of metrics that were made together. The last message of a job is
 * `done` or `failed`. `invalid`: a report that is not JSON and so could not be posted.
 */
export type FromThread =
  | { readonly type: 'report'; readonly name: string; readonly args: readonly unknown[] }
  | { readonly type: 'metrics'; readonly points: readonly (readonly unknown[])[] }
  | { readonly type: 'invalid'; readonly fault: Fault }
  | { readonly type: 'log'; readonly level?: LogLevel; readonly line: string }
  | { readonly type: 'flush'; readonly flush: number }
  | { readonly type: 'call'; readonly call: number; readonly name: CallName; readonly args: readonly unknown[] }
  | { readonly type: 'alive' }
  | { readonly type: 'done'; readonly result: unknown }
  | { readonly type: 'failed'; readonly fault: Fault }

/** How many reports a message counts for. */
export function weightOf(message: FromThread): number {
  return message.type === 'metrics' ? message.points.length : 1
}

/** An error sent between threads. A structured copy of the error itself would lose its name and code. */
export interface Fault {
  readonly name: string
  readonly message: string
  readonly stack?: string
  /** The error was a `JobFailure`. */
  readonly failure?: Pick<JobFailure, 'code'> & Partial<Pick<JobFailure, 'retry'>>
}
