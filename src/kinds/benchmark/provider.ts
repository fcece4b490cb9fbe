import Type, { type Static } from 'typebox'

const Price = (of: string) =>
  Type.Optional(Type.Number({ minimum: 0, description: `price of a million ${of} tokens, in the currency of your price list` }))

/** A model as a provider offers it; its id in requests and results is `<provider>/<name>`. */
export const ModelEntry = Type.Object(
  {
    name: Type.String({ pattern: '^\\S{1,128}$', description: 'as the endpoint names it' }),
    context_window: Type.Integer({ minimum: 1, maximum: 100_000_000, description: 'tokens of prompt and answer together' }),
    price_per_million_input: Price('prompt'),
    price_per_million_output: Price('answer'),
    max_tokens_field: Type.Enum(['max_tokens', 'max_completion_tokens'], {
      default: 'max_tokens',
      description: 'the field by which this endpoint takes the limit of the answer',
    }),
    description: Type.String({ minLength: 1, maxLength: 300, default: 'Served by an OpenAI-compatible endpoint.' }),
  },
  { additionalProperties: false },
)
export type ModelEntry = Static<typeof ModelEntry>

/** An OpenAI-compatible endpoint. The key itself never stands in the file: `api_key_env` names the environment variable that holds it. */
export const Provider = Type.Object(
  {
    name: Type.String({ pattern: '^[a-z0-9][a-z0-9_.-]{0,63}$', description: 'begins the ids of its models' }),
    base_url: Type.String({
      pattern: '^https?://[^\\s@?#]+$',
      description: 'up to and with the version, as in https://host/v1; without credentials',
    }),
    api_key_env: Type.Optional(
      Type.String({ pattern: '^[A-Za-z_][A-Za-z0-9_]*$', description: 'without it the endpoint is asked without a key' }),
    ),
    models: Type.Array(ModelEntry, { minItems: 1, maxItems: 256 }),
  },
  { additionalProperties: false },
)
export type Provider = Static<typeof Provider>

/** Contents of the file that `PROVIDERS_FILE` names. */
export const ProvidersFile = Type.Object({ providers: Type.Array(Provider, { maxItems: 64 }) }, { additionalProperties: false })

/** The name that the built-in provider has; none in the file may take it. */
export const LOCAL_PROVIDER = 'local'

/** What the built-in provider offers. It needs no configuration: the benchmark worker starts it on a free port of its own. */
export const LOCAL_MODEL: ModelEntry = {
  name: 'ngram',
  context_window: 8192,
  max_tokens_field: 'max_tokens',
  description:
    'Built in, for a machine without keys: a small word trigram model over a text in this package, served over HTTP. Not a neural network.',
}

/** Id of a model in requests and results. */
export function modelId(provider: string, name: string): string {
  return `${provider}/${name}`
}
