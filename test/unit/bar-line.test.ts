import { PassThrough } from 'node:stream'
import t from 'tap'
import { BarLine } from '../../src/cli/bar-line.js'
import { ProcessDisplay } from '../../src/cli/process-display.js'
import { ProgressDisplay } from '../../src/cli/progress-display.js'
import { benchmarkTable } from '../../src/kinds/benchmark/table.js'

/** A file, for a display. */
function file() {
  const stream = Object.assign(new PassThrough(), { isTTY: false })
  return { out: stream as unknown as NodeJS.WriteStream, lines: () => String(stream.read() ?? '').split('\n') } // the members that it uses
}

/** What a bar has written to a terminal of 40 columns, or to a file. */
function lineTo(isTTY: boolean) {
  const stream = Object.assign(new PassThrough(), { isTTY, columns: 40 })
  const line = new BarLine(stream as unknown as NodeJS.WriteStream) // the members that it uses
  return { line, written: () => String(stream.read() ?? '') }
}

t.test('in a terminal the bar moves in place, no wider than the terminal, and lines stay above it', async (t) => {
  const { line, written } = lineTo(true)
  line.bar({ percent: 50, label: 'solving', text: 'a text that is longer than the terminal' })
  t.equal(written(), '\r\u001b[K██████████░░░░░░░░░░  50.0 %  solving   ')
  line.line('  running')
  t.equal(written(), '\r\u001b[K  running\n██████████░░░░░░░░░░  50.0 %  solving   ')
  line.end()
  line.end()
  t.equal(written(), '\n', 'once')
})

t.test('[REPORT-6] the bar shows how long the rest takes', async (t) => {
  const { line, written } = lineTo(false)
  for (const eta_s of [null, 4.4, 125, 12_000]) line.bar({ percent: 50, label: 'a', text: 'b', eta_s })
  line.complete()
  const lefts = ['', '4 s left  ', '2 min 5 s left  ', '3 h 20 min left  ', '']
  t.same(
    written()
      .split('\n')
      .filter(Boolean)
      .map((text) => text.slice(45)),
    lefts.map((left) => `${left}b`),
  )
})

t.test('elsewhere each is a line, without a control character', async (t) => {
  const { line, written } = lineTo(false)
  line.bar({ percent: 100, label: '', text: 'Run 1' })
  line.line('  running')
  line.end()
  t.equal(written(), '████████████████████ 100.0 %                 Run 1\n  running\n')
})

t.test('a status is printed when it changes, however often it is told', async (t) => {
  const own = file()
  const process = new ProcessDisplay(own.out)
  const states = ['running', 'running', 'running', 'retrying', 'running']
  const told = ['subscribed', 'process_queued', 'process_started', 'process_retrying', 'process_started']
  for (const [i, type] of told.entries()) process.show({ type } as never, { status: states[i], finished_at: null } as never)
  t.same(own.lines(), ['  running', '  retrying', '  running', ''])
  const of = file()
  const run = new ProgressDisplay(of.out)
  for (const status of ['queued', 'running', 'running']) run.show({ type: 'status' } as never, { status, metrics: {} } as never)
  t.same(of.lines(), ['  queued', '  running', ''])
})

t.test('on success a bar reaches 100 %, after a failure it stays, and a failure says so', async (t) => {
  const progress = { current: 11, total: 12, detail: 'row 11', phase: '' }
  const view = { metrics: {}, percent: 99.9, phase: 'solving', message: 'almost' }
  const draw = (final: object, isRun: boolean) => {
    const { out, lines } = file()
    const display = isRun ? new ProgressDisplay(out) : new ProcessDisplay(out)
    display.show({ type: isRun ? 'progress' : 'process_progress', progress } as never, view as never)
    display.finish(final as never)
    return lines().filter((line) => line !== '')
  }
  const completed = { compute_time_s: 1, metrics_summary: {}, result: {} }
  t.match(draw({ type: 'completed', ...completed }, true), [/ 99\.9 %/, /█{20} 100\.0 % {2}solving +almost/, /^Completed in 1 s/])
  t.match(draw({ type: 'process_completed', ...completed }, false), [/ 91\.7 %/, /█{20} 100\.0 % +row 11/, /^Completed in 1 s/])
  t.match(draw({ type: 'error', error: 'It diverges.', solver_log_tail: 'a log' }, true), [/ 99\.9 %/, 'Failed: It diverges.', 'a log'])
  t.match(draw({ type: 'process_failed', error: 'row 8: broken quote' }, false), [/ 91\.7 %/, 'Failed: row 8: broken quote'])
})

t.test('a benchmark ends with a table of models and context tiers', async (t) => {
  const around = (p50: number) => ({ n: 3, mean: p50, min: p50, p50, max: p50 })
  const cell = {
    status: 'measured',
    ok: 3,
    failed: 0,
    failures: {},
    ttft_ms: around(201.4),
    e2e_ms: around(1184.5),
    tpot_ms: around(20.03),
    inter_chunk_ms: null,
    output_tokens_per_s: around(41.2),
    output_tokens: 150,
    prompt_tokens: 30,
    is_estimated: false,
    system_throughput_tokens_per_s: 41,
  }
  const dead = {
    ...cell,
    ok: 0,
    failed: 3,
    ttft_ms: null,
    e2e_ms: null,
    tpot_ms: null,
    output_tokens_per_s: null,
    failures: { timeout: 3 },
  }
  const result = {
    ...{ total: 9, ok: 6, failed: 3, skipped: 1, output_tokens: 300, system_throughput_tokens_per_s: 52.5 },
    cells: [
      { ...cell, model: 'a/large', context_tier: 0, cost: 0.012 },
      { ...cell, model: 'a/large', context_tier: 5000, is_estimated: true },
      { ...dead, model: 'b/small', context_tier: 0 },
      { model: 'b/small', context_tier: 5000, status: 'skipped', reason: 'does not fit' },
    ],
  }
  t.same(benchmarkTable(result)?.split('\n'), [
    '',
    'model    context            ok  TTFT ms  TPOT ms  E2E ms  tokens/s   cost',
    'a/large        0           3/3      201     20.0    1185      41.2  0.012',
    'a/large     5000           3/3      201     20.0    1185     ~41.2',
    'b/small        0           0/3        –        –       –         –',
    'b/small     5000  does not fit',
    '',
    '6 of 9 requests succeeded, 1 cells skipped, 52.5 tokens/s over all. Times and tokens/s are medians. ~: tokens are estimated from characters.',
  ])
  t.equal(benchmarkTable({ ...result, cells: 'of a later version' }), null)
})
