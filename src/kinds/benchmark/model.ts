import Type, { type Static } from 'typebox'
import type { InputIssue } from '../../core/kind.js'
import type { BenchmarkInput } from './input.js'

const Price = (of: string) => Type.Optional(Type.Number({ minimum: 0, description: `price of a million ${of} tokens` }))

/** A language model that benchmarks can name, as listed by `GET /api/models`. */
export const Model = Type.Object(
  {
    id: Type.String({ description: '`<provider>/<name>`: the id for benchmarks' }),
    provider: Type.String(),
    name: Type.String(),
    context_window: Type.Integer({ description: 'tokens of prompt and answer together' }),
    price_per_million_input: Price('prompt'),
    price_per_million_output: Price('answer'),
    description: Type.String({ description: 'description of the model' }),
  },
  { title: 'Model' },
)
export type Model = Static<typeof Model>

/** Issues of an input that names models which are not configured. */
export function modelFaults({ models }: BenchmarkInput, known: readonly Pick<Model, 'id'>[]): InputIssue[] {
  const ids = known.map(({ id }) => id)
  return models.flatMap((model, i) => (ids.includes(model) ? [] : [{ path: `/input/models/${i}`, expected: `one of ${ids.join(', ')}` }]))
}
