import Type, { type Static } from 'typebox'

const Price = (of: string) =>
  Type.Optional(Type.Number({ minimum: 0, description: `price of a million ${of} tokens, in the currency of your price list` }))

/** A model of a provider. Its id in requests and results is `<provider>/<name>`. */
export const ModelEntry = Type.Object(
  {
    name: Type.String({ pattern: '^\\S{1,128}$', description: 'name of the model at the endpoint' }),
    context_window: Type.Integer({ minimum: 1, maximum: 100_000_000, description: 'tokens of prompt and answer together' }),
    price_per_million_input: Price('prompt'),
    price_per_million_output: Price('answer'),
    max_tokens_field: Type.Enum(['max_tokens', 'max_completion_tokens'], {
      default: 'max_tokens',
      description: 'the field of the request for the maximum tokens of the answer',
    }),
    description: Type.String({ minLength: 1, maxLength: 300, default: 'Served by an OpenAI-compatible endpoint.' }),
  },
  { additionalProperties: false },
)
export type ModelEntry = Static<typeof ModelEntry>

/** An OpenAI-compatible endpoint. The file holds no key: `api_key_env` names the environment variable with the key. */
export const Provider = Type.Object(
  {
    name: Type.String({ pattern: '^[a-z0-9][a-z0-9_.-]{0,63}$', description: 'prefix of the ids of its models' }),
    base_url: Type.String({
      pattern: '^https?://[^\\s@?#]+$',
      description: 'including the version, such as https://host/v1; without credentials',
    }),
    api_key_env: Type.Optional(Type.String({ pattern: '^[A-Za-z_][A-Za-z0-9_]*$', description: 'default: requests have no key' })),
    models: Type.Array(ModelEntry, { minItems: 1, maxItems: 256 }),
  },
  { additionalProperties: false },
)
export type Provider = Static<typeof Provider>

/** Schema of the file at `PROVIDERS_FILE`. */
export const ProvidersFile = Type.Object({ providers: Type.Array(Provider, { maxItems: 64 }) }, { additionalProperties: false })

/** Name of the built-in provider, reserved in the file. */
export const LOCAL_PROVIDER = 'local'

/** The model of the built-in provider. Each benchmark worker serves it on a free port. */
export const LOCAL_MODEL: ModelEntry = {
  name: 'ngram',
  context_window: 8192,
  max_tokens_field: 'max_tokens',
  description:
    'Built in, for use without keys: a small word trigram model over a text in this package, served over HTTP. Not a neural network.',
}

/** Id of a model in requests and results. */
export function modelId(provider: string, name: string): string {
  return `${provider}/${name}`
}
