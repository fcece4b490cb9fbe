import Type, { type Static } from 'typebox'

/** Input of a benchmark: which models, how long the contexts, how often. The limits keep every result in the log of the job, and the summary within a message. */
export const BenchmarkInput = Type.Object(
  {
    models: Type.Array(Type.String({ pattern: '^[^/\\s]{1,64}/\\S{1,128}$', description: '<provider>/<model>' }), {
      minItems: 1,
      maxItems: 16,
      uniqueItems: true,
      description: 'ids of models, as `GET /api/models` lists them',
    }),
    runs: Type.Integer({ minimum: 1, maximum: 50, default: 3, description: 'measured requests per model and context tier' }),
    context_tiers: Type.Array(Type.Integer({ minimum: 0, maximum: 2_000_000 }), {
      minItems: 1,
      maxItems: 8,
      uniqueItems: true,
      default: [0, 1000, 5000],
      description: 'tokens of context before the prompt, counted as four characters each',
    }),
    max_tokens: Type.Integer({ minimum: 1, maximum: 8192, default: 128, description: 'most tokens of an answer' }),
    temperature: Type.Optional(Type.Number({ minimum: 0, maximum: 2, description: 'without it the endpoint has its own' })),
    prompt: Type.Optional(
      Type.String({ minLength: 1, maxLength: 20_000, description: 'what is asked; by default something that wants a long answer' }),
    ),
    timeout_s: Type.Number({ minimum: 1, maximum: 240, default: 60, description: 'of one request to its last token, in s' }),
    warmup: Type.Integer({ minimum: 0, maximum: 5, default: 1, description: 'requests of each model that are not measured' }),
  },
  { additionalProperties: false },
)
export type BenchmarkInput = Static<typeof BenchmarkInput>
