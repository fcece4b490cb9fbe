import type { BenchmarkSummary, CellSkipped, CellSummary, RequestFailed, RequestOk } from '../../src/kinds/benchmark/result.js'
import type { Cell } from './matrix.js'
import { covered, distributionOf, rounded, roundedCost } from './statistics.js'

/** A measured request, with the values that its event leaves out. */
export interface Measured {
  readonly result: RequestOk | RequestFailed
  /** Gaps between its chunks, in ms. */
  readonly gaps: readonly number[]
  readonly sentAt: number
  readonly endedAt: number
}

/** A cell that was not measured, as an event states it. */
export function skippedOf({ target, tier }: Cell, reason: string): CellSkipped {
  return { model: target.id, context_tier: tier, status: 'skipped', reason }
}

/**
 * All measured requests of one cell. Throughput counts its tokens per second of time in which one of its measured
 * requests was in progress; warm-ups are excluded.
 */
export function summariseCell({ target, tier }: Cell, measured: readonly Measured[]): CellSummary {
  const ok = okOf(measured)
  const failures: Record<string, number> = {}
  for (const { result } of measured) if (result.status === 'failed') failures[result.code] = (failures[result.code] ?? 0) + 1
  return {
    model: target.id,
    context_tier: tier,
    status: 'measured',
    ok: ok.length,
    failed: measured.length - ok.length,
    failures,
    ttft_ms: distributionOf(ok.map(({ ttft_ms }) => ttft_ms)),
    e2e_ms: distributionOf(ok.map(({ e2e_ms }) => e2e_ms)),
    tpot_ms: distributionOf(ok.flatMap(({ tpot_ms }) => (tpot_ms === null ? [] : [tpot_ms]))),
    inter_chunk_ms: distributionOf(measured.flatMap(({ gaps }) => gaps)),
    output_tokens_per_s: distributionOf(ok.map(({ output_tokens_per_s }) => output_tokens_per_s)),
    output_tokens: sum(ok.map(({ output_tokens }) => output_tokens)),
    prompt_tokens: sum(ok.map(({ prompt_tokens }) => prompt_tokens)),
    is_estimated: ok.some(({ is_estimated }) => is_estimated),
    system_throughput_tokens_per_s: throughputOf(measured),
    ...(target.prices && { cost: roundedCost(sum(ok.map(({ cost }) => cost ?? 0))) }),
  }
}

/** The whole benchmark: its cells in the order of the matrix. */
export function summarise(cells: readonly (CellSummary | CellSkipped)[], measured: readonly Measured[]): BenchmarkSummary {
  const ok = okOf(measured)
  const costs = ok.flatMap(({ cost }) => (cost === undefined ? [] : [cost]))
  return {
    total: measured.length,
    ok: ok.length,
    failed: measured.length - ok.length,
    skipped: cells.filter(({ status }) => status === 'skipped').length,
    output_tokens: sum(ok.map(({ output_tokens }) => output_tokens)),
    system_throughput_tokens_per_s: throughputOf(measured),
    ...(costs.length > 0 && { cost: roundedCost(sum(costs)) }),
    cells: [...cells],
  }
}

function okOf(measured: readonly Measured[]): RequestOk[] {
  return measured.flatMap(({ result }) => (result.status === 'ok' ? [result] : []))
}

function throughputOf(measured: readonly Measured[]): number {
  const underWay = covered(measured.map(({ sentAt, endedAt }) => ({ from: sentAt, to: endedAt })))
  const tokens = sum(okOf(measured).map(({ output_tokens }) => output_tokens))
  return underWay > 0 ? rounded((tokens / underWay) * 1000) : 0
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
