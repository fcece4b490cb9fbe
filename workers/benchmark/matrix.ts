import type { BenchmarkInput } from '../../src/kinds/benchmark/input.js'
import { estimateTokens } from './measure.js'
import { frameChars } from './prompt.js'
import type { Target } from './target.js'

/** A model at a context tier; `skipped` says why no request is sent. */
export interface Cell {
  readonly target: Target
  /** Nominal tokens of context; the endpoint's own count is in the results. */
  readonly tier: number
  readonly skipped?: string
}

/** The complete plan of a benchmark. `total` counts measured requests and is fixed before the first one. */
export interface Matrix {
  readonly cells: readonly Cell[]
  readonly total: number
}

/**
 * Targets × context tiers, both in the order of the request. A tier that does not fit is one skipped cell and is not
 * counted.
 */
export function buildMatrix(
  targets: readonly Target[],
  input: Pick<BenchmarkInput, 'context_tiers' | 'runs' | 'max_tokens' | 'prompt'>,
): Matrix {
  const cells = targets.flatMap((target) => input.context_tiers.map((tier) => cellOf(target, tier, input)))
  return { cells, total: cells.filter(({ skipped }) => skipped === undefined).length * input.runs }
}

/**
 * The cells by provider, in order. The cells of one provider are measured one after the other, providers in parallel.
 */
export function byProvider(cells: readonly Cell[]): readonly (readonly Cell[])[] {
  const providers = new Map<string, Cell[]>()
  for (const cell of cells) {
    const own = providers.get(cell.target.provider)
    if (own) own.push(cell)
    else providers.set(cell.target.provider, [cell])
  }
  return [...providers.values()]
}

function cellOf(target: Target, tier: number, { max_tokens, prompt }: Pick<BenchmarkInput, 'max_tokens' | 'prompt'>): Cell {
  const needed = tier + estimateTokens(frameChars(prompt)) + max_tokens
  if (needed <= target.contextWindow) return { target, tier }
  return { target, tier, skipped: `Needs about ${needed} tokens; the context window has ${target.contextWindow}.` }
}
