/** Longest context that the model uses, in tokens. */
const ORDER = 2
/**
 * Maximum weight of the prompt's own counts. Like a cache model, the model reuses the words of a prompt, and more of
 * them the longer the prompt is.
 */
const PROMPT_SHARE = 0.25
/** Length of a prompt, in tokens, that gets half of that weight. */
const HALF_SHARE_TOKENS = 500
/** Subtracted from every count for the shorter contexts (absolute discounting, Ney, Essen and Kneser 1994). */
const DISCOUNT = 0.3
const SEPARATOR = '\u0000'

/** Which tokens followed a context, and how often. */
interface Followers {
  readonly counts: Map<string, number>
  total: number
}

/** Counts of one text: for each context of 0 to `ORDER` tokens, what followed it. */
export class Counts {
  readonly #followers = new Map<string, Followers>()

  constructor(tokens: readonly string[]) {
    for (let i = 0; i < tokens.length; i += 1) {
      for (let order = 0; order <= Math.min(ORDER, i); order += 1) this.#count(tokens.slice(i - order, i), tokens[i] ?? '')
    }
  }

  /** What followed these tokens; undefined if they never occurred. */
  after(context: readonly string[]): Followers | undefined {
    return this.#followers.get(context.join(SEPARATOR))
  }

  #count(context: readonly string[], token: string): void {
    const key = context.join(SEPARATOR)
    let followers = this.#followers.get(key)
    if (!followers) {
      followers = { counts: new Map(), total: 0 }
      this.#followers.set(key, followers)
    }
    followers.counts.set(token, (followers.counts.get(token) ?? 0) + 1)
    followers.total += 1
  }
}

export interface Sampling {
  /** 0: always the most frequent; 1: as in the text; above: flatter. */
  readonly temperature: number
  /** Numbers from 0 to below 1. */
  readonly random: () => number
}

/**
 * Endless text: a word trigram model, interpolated by absolute discounting and mixed with the counts of the prompt.
 * Each step first draws the order, with its interpolation weight, and then the token. This is equal to drawing from the
 * mixture.
 */
export function* generate(model: Counts, prompt: readonly string[], { temperature, random }: Sampling): Generator<string, never> {
  const own = new Counts(prompt)
  const share = (PROMPT_SHARE * prompt.length) / (prompt.length + HALF_SHARE_TOKENS)
  const context = prompt.slice(-ORDER)
  for (;;) {
    const source = random() < share ? own : model
    const token = draw(backOff(source, context, random) ?? backOff(model, [], random), temperature, random)
    context.push(token)
    if (context.length > ORDER) context.shift()
    yield token
  }
}

/** The followers to draw from: of the whole context, minus the discount, otherwise of a shorter one. */
function backOff(counts: Counts, context: readonly string[], random: () => number): Followers | undefined {
  for (let from = 0; from < context.length; from += 1) {
    const followers = counts.after(context.slice(from))
    if (followers && random() >= (DISCOUNT * followers.counts.size) / followers.total) return followers
  }
  return counts.after([])
}

/** Weights are discounted counts^(1/temperature), taken relative to the largest so that none overflows. */
function draw(followers: Followers | undefined, temperature: number, random: () => number): string {
  if (!followers) return ' '
  const entries = [...followers.counts]
  const most = entries.reduce((best, entry) => (entry[1] > best[1] ? entry : best), entries[0] ?? [' ', 1])
  if (temperature === 0) return most[0]
  const weights = entries.map(([, count]) => ((count - DISCOUNT) / (most[1] - DISCOUNT)) ** (1 / temperature))
  let rest = random() * weights.reduce((sum, weight) => sum + weight, 0)
  for (const [i, [token]] of entries.entries()) {
    rest -= weights[i] ?? 0
    if (rest < 0) return token
  }
  return most[0]
}

/** Numbers from 0 to below 1, the same for the same seed (mulberry32, Ettinger 2017). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
