/** The examples of a schema: of a kind, those of its input. */
export function examplesOf(schema: object): readonly unknown[] {
  const { examples } = schema as { readonly examples?: unknown } // any keyword may be there
  return Array.isArray(examples) ? examples : []
}

/** The keyword for these examples; no keyword for none. */
export function withExamples(examples: readonly unknown[]): { readonly examples?: unknown[] } {
  return examples.length === 0 ? {} : { examples: [...examples] }
}

/** Examples of a body that has the fields of the input, or the input in one field. */
export function bodyExamples(input: object, isFlat: boolean): { readonly examples?: unknown[] } {
  return withExamples(examplesOf(input).map((input) => (isFlat ? input : { input })))
}
