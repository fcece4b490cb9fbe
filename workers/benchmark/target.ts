import { LOCAL_MODEL, LOCAL_PROVIDER, type ModelEntry, modelId, type Provider } from '../../src/kinds/benchmark/provider.js'

/** Of a million tokens, in whatever currency the price list has. */
export interface Prices {
  readonly input: number
  readonly output: number
}

/** A model to measure: where it is, and what is known of it. */
export interface Target {
  /** `<provider>/<name>` */
  readonly id: string
  readonly provider: string
  /** As the endpoint names it. */
  readonly name: string
  readonly baseUrl: string
  /** null: the endpoint is asked without a key. */
  readonly key: string | null
  readonly contextWindow: number
  readonly maxTokensField: ModelEntry['max_tokens_field']
  readonly prices: Prices | null
}

/** Where the built-in provider listens, and the key that it wants. */
export interface LocalAddress {
  readonly baseUrl: string
  readonly key: string
}

/** All models by their id: the built-in one and those of the providers, whose keys come by provider. */
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
