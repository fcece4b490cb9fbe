import Type, { type Static } from 'typebox'

/** Input of a benchmark: which models, how long the contexts, how often. Tokens are counted as the providers count them. */
export const BenchmarkInput = Type.Object(
  {
    models: Type.Array(Type.String({ pattern: '^[^/\\s]{1,64}/\\S{1,128}$', description: '<provider>/<model>' }), {
      minItems: 1,
      maxItems: 16,
      uniqueItems: true,
    }),
    runs: Type.Integer({ minimum: 1, maximum: 50, default: 3, description: 'measured requests of each cell' }),
    context_tiers: Type.Array(Type.Integer({ minimum: 0, maximum: 2_000_000 }), {
      minItems: 1,
      maxItems: 16,
      uniqueItems: true,
      default: [0, 1000, 5000],
      description: 'tokens of context before the prompt',
    }),
    max_tokens: Type.Integer({ minimum: 1, maximum: 8192, default: 128 }),
    temperature: Type.Optional(Type.Number({ minimum: 0, maximum: 2 })),
    prompt: Type.Optional(Type.String({ minLength: 1, maxLength: 20_000 })),
    timeout_s: Type.Number({ minimum: 1, maximum: 3600, default: 60, description: 'of one request, in s' }),
    warmup: Type.Integer({ minimum: 0, maximum: 5, default: 1, description: 'requests of each model that are not measured' }),
  },
  { additionalProperties: false },
)
export type BenchmarkInput = Static<typeof BenchmarkInput>
