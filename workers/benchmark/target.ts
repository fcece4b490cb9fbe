import { LOCAL_MODEL, LOCAL_PROVIDER, type ModelEntry, modelId, type Provider } from '../../src/kinds/benchmark/provider.js'

/** Price of a million tokens, in the currency of the price list. */
export interface Prices {
  readonly input: number
  readonly output: number
}

/** A model to measure: its address and its known properties. */
export interface Target {
  /** `<provider>/<name>` */
  readonly id: string
  readonly provider: string
  /** The name that the endpoint uses. */
  readonly name: string
  readonly baseUrl: string
  /** null: the endpoint is called without a key. */
  readonly key: string | null
  readonly contextWindow: number
  readonly maxTokensField: ModelEntry['max_tokens_field']
  readonly prices: Prices | null
}

/** Address of the built-in provider, and its key. */
export interface LocalAddress {
  readonly baseUrl: string
  readonly key: string
}

/** All models by id: the built-in one and those of the providers. Keys are given by provider. */
export function targetsOf(
  providers: readonly Provider[],
  keys: ReadonlyMap<string, string>,
  local: LocalAddress,
): ReadonlyMap<string, Target> {
  const configured = providers.flatMap(({ name, base_url, models }) =>
    models.map((model) => targetOf(name, model, { baseUrl: base_url, key: keys.get(name) ?? null })),
  )
  return new Map([targetOf(LOCAL_PROVIDER, LOCAL_MODEL, local), ...configured].map((target) => [target.id, target]))
}

function targetOf(provider: string, model: ModelEntry, { baseUrl, key }: { baseUrl: string; key: string | null }): Target {
  const { name, context_window, max_tokens_field, price_per_million_input, price_per_million_output } = model
  const hasPrices = price_per_million_input !== undefined || price_per_million_output !== undefined
  return {
    id: modelId(provider, name),
    provider,
    name,
    baseUrl,
    key,
    contextWindow: context_window,
    maxTokensField: max_tokens_field,
    prices: hasPrices ? { input: price_per_million_input ?? 0, output: price_per_million_output ?? 0 } : null,
  }
}
