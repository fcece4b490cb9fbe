import Type, { type Static } from 'typebox'

const Price = (of: string) => Type.Optional(Type.Number({ minimum: 0, description: `of a million ${of} tokens` }))

/** A language model that a benchmark may name, as `GET /api/models` lists it. */
export const Model = Type.Object({
  id: Type.String({ description: '`<provider>/<name>`: what a benchmark names' }),
  provider: Type.String(),
  name: Type.String(),
  context_window: Type.Integer({ description: 'tokens of prompt and answer together' }),
  price_per_million_input: Price('prompt'),
  price_per_million_output: Price('answer'),
  description: Type.String({ description: 'what kind of model it is' }),
})
export type Model = Static<typeof Model>

/** Faults of a benchmark that names models which are not configured; `path` is where the list of them stands. */
export function modelFaults(
  models: readonly string[],
  known: readonly Pick<Model, 'id'>[],
  path: string,
): { path: string; expected: string }[] {
  const ids = known.map(({ id }) => id)
  return models.flatMap((model, i) => (ids.includes(model) ? [] : [{ path: `${path}/${i}`, expected: `one of ${ids.join(', ')}` }]))
}
