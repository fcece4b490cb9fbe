import { PassThrough } from 'node:stream'
import t from 'tap'
import { listOf } from '../../src/cli/commands/artifacts.js'
import { showState } from '../../src/cli/commands/get.js'
import { jobTable } from '../../src/cli/commands/list.js'
import { curveText, listText } from '../../src/cli/commands/series.js'
import { jsonLine, jsonText } from '../../src/cli/plain-text.js'
import { ProcessDisplay } from '../../src/cli/process-display.js'
import { ProgressDisplay } from '../../src/cli/progress-display.js'

/** Clears the screen, writes the clipboard, moves the cursor, breaks the line; C1 as well, and DEL, and what reorders text. */
const EVIL = 'a\u001b[2J\u001b]52;c;aGk=\u0007\r\n\u009b2K\u0090q\u009c\u0085\u007f\u202e\u2028z'

function stream(isTTY: boolean) {
  const out = Object.assign(new PassThrough(), { isTTY, columns: 200 })
  return { out: out as unknown as NodeJS.WriteStream, written: () => String(out.read() ?? '') } // the members that it uses
}

const view = { metrics: { [EVIL]: { value: 1, unit: EVIL } }, percent: 50, phase: EVIL, message: EVIL, status: EVIL } as never // what is drawn
const process = { status: EVIL, finished_at: null } as never // what is drawn
const text = (text: string) => (out: NodeJS.WriteStream) => out.write(text)
const job = {
  ...{ id: 'horn-1', kind: 'run', status: 'failed', attempt: 2, created_at: '2026-11-30T08:00:00.000Z', started_at: null },
  ...{ title: EVIL, tags: [EVIL], metadata: { [EVIL]: EVIL }, progress: { current: 1, total: 2, detail: EVIL, phase: EVIL } },
  final: { type: 'error', error: 'a', solver_log_tail: EVIL },
} as never // what is drawn
const curve = { metric_name: EVIL, unit: EVIL, x: 'step', n: 2, k: 2, epoch: '', buckets: [[0, 1, 2, 2, 3, 3, 2]] } as never
const progress = { current: 1, total: 2, detail: EVIL, phase: EVIL, model: EVIL }

/** Everything of a job that is drawn, each said by somebody who wants more than that. */
const DRAWN: readonly [name: string, lines: number, draw: (out: NodeJS.WriteStream) => void][] = [
  ['a metric and progress', 2, (out) => new ProgressDisplay(out).show({ type: 'progress' } as never, view)],
  ['a status', 2, (out) => new ProgressDisplay(out).show({ type: 'status' } as never, view)],
  ['an error', 4, (out) => new ProgressDisplay(out).finish({ type: 'error', error: 'a\u009b', solver_log_tail: EVIL } as never)],
  [
    'a summary',
    3,
    (out) => new ProgressDisplay(out).finish({ type: 'completed', compute_time_s: 1, metrics_summary: { [EVIL]: 1 } } as never),
  ],
  ['progress of a process', 1, (out) => new ProcessDisplay(out).show({ type: 'process_progress', progress } as never, process)],
  ['its status', 1, (out) => new ProcessDisplay(out).show({ type: 'process_started' } as never, process)],
  ['its result', 1, (out) => new ProcessDisplay(out).show({ type: 'process_result', result: { EVIL } } as never, process)],
  ['its failure', 3, (out) => new ProcessDisplay(out).finish({ type: 'process_failed', error: EVIL } as never)],
  ['a job', 12, (out) => showState(job, out)],
  ['jobs', 2, text(jobTable([job], 0))],
  ['artifacts', 2, text(listOf([{ name: 'a', media_type: EVIL, bytes: null, url: EVIL }]))],
  ['metrics', 2, text(listText([curve], false))],
  ['a curve', 2, text(curveText(curve, false))],
  ['metrics as CSV', 2, text(listText([curve], true))],
  ['JSON', 1, text(`${jsonLine({ [EVIL]: EVIL })}\n`)],
  ['JSON by fields', 3, text(`${jsonText({ [EVIL]: EVIL })}\n`)],
  ['its end', 5, (out) => new ProcessDisplay(out).finish({ type: 'process_completed', compute_time_s: 1, result: { EVIL } } as never)],
]

t.test('what a job says commands no terminal and breaks no line', async (t) => {
  for (const [name, lines, draw] of DRAWN) {
    const file = stream(false)
    draw(file.out)
    const text = file.written()
    t.match(text, /a[^\n]*/, name)
    t.notMatch(text.replaceAll('\n', ''), /[\p{Cc}\u202e\u2028]/u, `${name}: no control character`)
    t.equal(text.split('\n').length - 1, lines, `${name}: ${JSON.stringify(text)}`)
    const terminal = stream(true)
    draw(terminal.out)
    // What the display writes itself.
    t.notMatch(terminal.written().replaceAll('\r\u001b[K', '').replaceAll('\n', ''), /[\p{Cc}\u202e\u2028]/u, `${name}: in a terminal`)
  }
})
