import type { Model } from './model.js'
import { LOCAL_MODEL, LOCAL_PROVIDER, modelId, type Provider } from './provider.js'

/** The models that benchmarks can name: the built-in one, then those of the providers. Without addresses and keys. */
export function catalogueOf(providers: readonly Provider[]): readonly Model[] {
  const all = [{ name: LOCAL_PROVIDER, models: [LOCAL_MODEL] }, ...providers]
  return all.flatMap(({ name: provider, models }) =>
    models.map(({ name, context_window, price_per_million_input, price_per_million_output, description }) => ({
      id: modelId(provider, name),
      provider,
      name,
      context_window,
      ...(price_per_million_input !== undefined && { price_per_million_input }),
      ...(price_per_million_output !== undefined && { price_per_million_output }),
      description,
    })),
  )
}
