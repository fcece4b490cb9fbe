import t from 'tap'
import type { RequestOk } from '../../src/kinds/benchmark/result.js'
import { buildMatrix, byProvider, type Cell } from '../../workers/benchmark/matrix.js'
import { estimateTokens, gapsOf, measure, type Timeline } from '../../workers/benchmark/measure.js'
import { frameChars, promptFor, tierLabel } from '../../workers/benchmark/prompt.js'
import { requestsCsv } from '../../workers/benchmark/requests-csv.js'
import { covered, distributionOf, percentile } from '../../workers/benchmark/statistics.js'
import { type Measured, skippedOf, summarise, summariseCell } from '../../workers/benchmark/summary.js'
import type { Target } from '../../workers/benchmark/target.js'

function target(id: string, contextWindow = 100_000, prices: Target['prices'] = null): Target {
  const [provider = '', name = ''] = id.split('/')
  return { id, provider, name, baseUrl: 'http://x', key: null, contextWindow, maxTokensField: 'max_tokens', prices }
}

const TIMELINE: Timeline = {
  sentAt: 1000,
  contentAt: [1200, 1220, 1260, 1280],
  promptChars: 400,
  contentChars: 40,
  usage: { prompt: 90, completion: 5 },
  finishReason: 'length',
}

t.test('[BENCH-5] percentiles are linear between ranks: computed by hand', async (t) => {
  const cases: [values: number[], p: number, expected: number][] = [
    [[7], 50, 7],
    [[1, 2], 50, 1.5],
    [[1, 2, 3, 4], 50, 2.5],
    [[10, 20, 30, 40], 90, 37], // rank 2.7
    [[15, 20, 35, 40, 50], 40, 29], // rank 1.6
    [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], 90, 10],
    [[3, 9], 0, 3],
    [[3, 9], 100, 9],
  ]
  for (const [values, p, expected] of cases) t.ok(Math.abs(percentile(values, p) - expected) < 1e-9, `p${p} of ${values} is ${expected}`)
})

t.test('[BENCH-5] a distribution says how many values it has, and leaves out the percentiles that so few do not bear', async (t) => {
  t.equal(distributionOf([]), null)
  t.same(distributionOf([4, 1, 3, 2]), { n: 4, mean: 2.5, min: 1, p50: 2.5, max: 4 })
  const upTo = (n: number) => distributionOf(Array.from({ length: n }, (_, i) => n - i))
  t.same(Object.keys(upTo(9) ?? {}), ['n', 'mean', 'min', 'p50', 'max'])
  t.equal(upTo(10)?.p90, 9.1)
  t.equal(upTo(19)?.p95, undefined, 'no p95 below 20')
  t.equal(upTo(20)?.p95, 19.05)
  t.equal(upTo(99)?.p99, undefined)
  t.equal(upTo(100)?.p99, 99.01)
})

t.test('[BENCH-4] TTFT, E2E, TPOT, gaps and rates of a timeline, by their definitions', async (t) => {
  t.same(measure(TIMELINE, null), {
    ttft_ms: 200,
    e2e_ms: 280,
    tpot_ms: 20,
    inter_chunk_ms: { n: 3, mean: 26.667, min: 20, p50: 20, max: 40 },
    output_tokens_per_s: 17.857,
    output_tokens: 5,
    prompt_tokens: 90,
    is_estimated: false,
    finish_reason: 'length',
  })
  t.same(gapsOf([5]), [])
})

t.test('[BENCH-4] below two tokens there is no TPOT, and without usage tokens are an estimate that says so', async (t) => {
  const one = measure({ ...TIMELINE, contentAt: [1200], usage: { prompt: 1, completion: 1 } }, null)
  t.match(one, { tpot_ms: null, inter_chunk_ms: null, ttft_ms: 200, e2e_ms: 200, output_tokens_per_s: 5 })
  const { usage: _usage, ...without } = TIMELINE
  t.match(measure(without, null), { is_estimated: true, output_tokens: 10, prompt_tokens: 100, tpot_ms: 8.889 })
  t.equal(estimateTokens(41), 11)
})

t.test('[BENCH-9] prices give a cost, per request and summed per cell', async (t) => {
  const priced = target('a/m', 100_000, { input: 2.5, output: 10 })
  t.equal(measure(TIMELINE, priced.prices).cost, (90 * 2.5 + 5 * 10) / 1e6)
  t.notOk('cost' in measure(TIMELINE, null))
  const cell: Cell = { target: priced, tier: 0 }
  const runs = [1, 2, 3].map((run) => okOf(cell, run, TIMELINE))
  t.equal(summariseCell(cell, runs).cost, 0.000825)
  t.equal(summarise([summariseCell(cell, runs)], runs).cost, 0.000825)
  t.notOk('cost' in summariseCell({ target: target('b/m'), tier: 0 }, []))
})

function okOf(cell: Cell, run: number, timeline: Timeline): Measured {
  const result: RequestOk = {
    model: cell.target.id,
    context_tier: cell.tier,
    run,
    status: 'ok',
    ...measure(timeline, cell.target.prices),
  }
  return { result, gaps: gapsOf(timeline.contentAt), sentAt: timeline.sentAt, endedAt: (timeline.contentAt.at(-1) ?? 0) + 20 }
}

t.test('[BENCH-2] the total counts what fits, times the runs; a tier that does not fit is one skipped cell', async (t) => {
  const input = { context_tiers: [0, 1000, 5000], runs: 3, max_tokens: 128 }
  const { cells, total } = buildMatrix([target('a/big'), target('a/small', 2000), target('b/tiny', 100)], input)
  t.equal(cells.length, 9)
  t.equal(total, (3 + 2 + 0) * 3)
  const skipped = cells.filter((cell) => cell.skipped !== undefined)
  t.same(
    skipped.map((cell) => [cell.target.id, cell.tier]),
    [
      ['a/small', 5000],
      ['b/tiny', 0],
      ['b/tiny', 1000],
      ['b/tiny', 5000],
    ],
  )
  t.match(skipped[0]?.skipped, /Needs about 5\d\d\d tokens; the context window has 2000/)
  const frame = estimateTokens(frameChars())
  const fits = (window: number) => buildMatrix([target('a/m', window)], { ...input, context_tiers: [1000] }).total > 0
  t.same([fits(1000 + 128 + frame - 1), fits(1000 + 128 + frame)], [false, true], 'prompt and answer count, to the token')
  t.same(
    byProvider(cells).map((lane) => [...new Set(lane.map((cell) => cell.target.id))]),
    [['a/big', 'a/small'], ['b/tiny']],
  )
})

t.test('[BENCH-3] every prompt begins with letters never sent before, and has about the context that its tier says', async (t) => {
  const filler = 'a text of some words. '.repeat(40)
  const prompts = Array.from({ length: 200 }, () => promptFor(1000, filler, 'And now?'))
  t.equal(new Set(prompts.map((prompt) => prompt.slice(0, 26))).size, 200)
  for (const prompt of prompts) {
    t.ok(prompt.endsWith('\n\nAnd now?'))
    t.equal(prompt.length, 4000 + frameChars('And now?'))
  }
  t.ok(promptFor(0, filler).length < 200, 'tier 0: no context')
  t.same([0, 500, 1000, 1500, 5000, 128_000].map(tierLabel), ['0', '500', '1K', '1.5K', '5K', '128K'])
})

t.test('[BENCH-6] failures count apart, by reason; system throughput is over the time in which a request was under way', async (t) => {
  const cell: Cell = { target: target('a/m'), tier: 1000 }
  const where = { model: 'a/m', context_tier: 1000 }
  const failed: Measured = {
    result: { ...where, run: 3, status: 'failed', code: 'rate_limited', error: 'slow down', elapsed_ms: 100 },
    gaps: [],
    sentAt: 2000,
    endedAt: 2100,
  }
  const later = { ...TIMELINE, sentAt: 1500, contentAt: [1600, 1700] }
  const measured = [okOf(cell, 1, TIMELINE), okOf(cell, 2, later), failed]
  const summary = summariseCell(cell, measured)
  t.match(summary, { ...where, status: 'measured', ok: 2, failed: 1, failures: { rate_limited: 1 }, output_tokens: 10, prompt_tokens: 180 })
  t.match(summary.ttft_ms, { n: 2, mean: 150, p50: 150 })
  t.match(summary.inter_chunk_ms, { n: 4, max: 100 }, 'the gaps of all requests')
  // 300 ms, 220 ms and the 100 ms of the failure.
  t.equal(summary.system_throughput_tokens_per_s, 16.129)
  const whole = summarise([summary, skippedOf({ target: target('a/m'), tier: 9 }, 'too long')], measured)
  t.match(whole, { total: 3, ok: 2, failed: 1, skipped: 1, output_tokens: 10 })
  t.match(summariseCell(cell, [failed]), { ttft_ms: null, tpot_ms: null, system_throughput_tokens_per_s: 0 })
  t.equal(
    covered([
      { from: 0, to: 10 },
      { from: 5, to: 8 },
      { from: 20, to: 25 },
      { from: 24, to: 30 },
    ]),
    20,
  )
})

t.test('[ART-4] requests as CSV: one line each, with quotes where a field needs them', (t) => {
  const ok = {
    model: 'a,"b"',
    context_tier: 0,
    run: 1,
    status: 'ok',
    ttft_ms: 1.5,
    e2e_ms: 9,
    tpot_ms: null,
    inter_chunk_ms: null,
  } as const
  const counts = { output_tokens_per_s: 2, output_tokens: 3, prompt_tokens: 4, is_estimated: false, finish_reason: 'stop' } as const
  const failed = { model: 'm', context_tier: 1000, run: 2, status: 'failed', code: 'timeout', error: 'no answer', elapsed_ms: 60 } as const
  t.same(requestsCsv([{ ...ok, ...counts }, failed]).split('\n'), [
    'model,context_tier,run,status,ttft_ms,e2e_ms,tpot_ms,output_tokens,prompt_tokens,output_tokens_per_s,is_estimated,finish_reason,cost,code,elapsed_ms',
    '"a,""b""",0,1,ok,1.5,9,,3,4,2,false,stop,,,',
    'm,1000,2,failed,,,,,,,,,,timeout,60',
    '',
  ])
  t.end()
})
