import Type, { type Static } from 'typebox'

/** Input of a benchmark. The limits keep all results within the log of the job, and the summary within one message. */
export const BenchmarkInput = Type.Object(
  {
    models: Type.Array(Type.String({ pattern: '^[^/\\s]{1,64}/\\S{1,128}$', description: '<provider>/<model>' }), {
      minItems: 1,
      maxItems: 16,
      uniqueItems: true,
      description: 'ids of models, from `GET /api/models`',
    }),
    runs: Type.Integer({ minimum: 1, maximum: 50, default: 3, description: 'measured requests per model and context tier' }),
    context_tiers: Type.Array(Type.Integer({ minimum: 0, maximum: 2_000_000 }), {
      minItems: 1,
      maxItems: 8,
      uniqueItems: true,
      default: [0, 1000, 5000],
      description: 'tokens of context before the prompt, at four characters per token',
    }),
    max_tokens: Type.Integer({ minimum: 1, maximum: 8192, default: 128, description: 'maximum tokens of an answer' }),
    temperature: Type.Optional(Type.Number({ minimum: 0, maximum: 2, description: 'default: that of the endpoint' })),
    prompt: Type.Optional(
      Type.String({ minLength: 1, maxLength: 20_000, description: 'prompt of each request; the default asks for a long answer' }),
    ),
    timeout_s: Type.Number({
      minimum: 1,
      maximum: 240,
      default: 60,
      description: 'time limit of one request, up to its last token, in seconds',
    }),
    warmup: Type.Integer({ minimum: 0, maximum: 5, default: 1, description: 'unmeasured requests per model before the others' }),
  },
  { additionalProperties: false, examples: [{ models: ['local/ngram'], runs: 1, context_tiers: [0], max_tokens: 16 }] },
)
export type BenchmarkInput = Static<typeof BenchmarkInput>
