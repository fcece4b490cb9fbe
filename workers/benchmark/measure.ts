import type { RequestOk } from '../../src/kinds/benchmark/result.js'
import { distributionOf, rounded, roundedCost } from './statistics.js'
import type { Prices } from './target.js'

/** Times of a request, on one monotonic clock in ms. */
export interface Timeline {
  readonly sentAt: number
  /**
   * Arrival of each chunk with content or reasoning content; the chunk that only names the role does not count. At
   * least one.
   */
  readonly contentAt: readonly number[]
  readonly promptChars: number
  readonly contentChars: number
  /** As reported by the endpoint; otherwise tokens are estimated. */
  readonly usage?: { readonly prompt: number; readonly completion: number }
  readonly finishReason: RequestOk['finish_reason']
}

/** The measurements of one request. */
export type Measurement = Omit<RequestOk, 'model' | 'context_tier' | 'run' | 'status'>

/**
 * English text has about four characters per token in the vocabularies of current models. This is an estimate, and
 * flagged as one wherever it is used.
 */
export const CHARS_PER_TOKEN = 4

/**
 * TTFT, E2E, TPOT and rates of a request by the usual definitions: TTFT = first content − sent, E2E = last content −
 * sent, TPOT = (E2E − TTFT) / (tokens − 1). Gaps between chunks are not gaps between tokens, since a chunk may hold
 * several.
 */
export function measure(timeline: Timeline, prices: Prices | null): Measurement {
  const { sentAt, contentAt, usage } = timeline
  const ttft = (contentAt[0] ?? Number.NaN) - sentAt
  const e2e = (contentAt.at(-1) ?? Number.NaN) - sentAt
  const output_tokens = usage?.completion ?? estimateTokens(timeline.contentChars)
  const prompt_tokens = usage?.prompt ?? estimateTokens(timeline.promptChars)
  return {
    ttft_ms: rounded(ttft),
    e2e_ms: rounded(e2e),
    tpot_ms: output_tokens < 2 ? null : rounded((e2e - ttft) / (output_tokens - 1)),
    inter_chunk_ms: distributionOf(gapsOf(contentAt)),
    output_tokens_per_s: e2e > 0 ? rounded((output_tokens / e2e) * 1000) : 0,
    output_tokens,
    prompt_tokens,
    is_estimated: usage === undefined,
    finish_reason: timeline.finishReason,
    ...(prices && { cost: roundedCost((prompt_tokens * prices.input + output_tokens * prices.output) / 1e6) }),
  }
}

/** Gaps between one chunk and the next, in ms. */
export function gapsOf(contentAt: readonly number[]): number[] {
  return contentAt.slice(1).map((at, i) => at - (contentAt[i] ?? at))
}

/** Tokens of a text with an unknown tokenizer. */
export function estimateTokens(chars: number): number {
  return Math.ceil(chars / CHARS_PER_TOKEN)
}
