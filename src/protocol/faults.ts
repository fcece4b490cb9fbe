/** Start of `expected` for a field that must not be present. */
export const ABSENT = 'to be absent'

/** `expected` of a field that the schema does not have. */
export const UNKNOWN = `${ABSENT} (unknown property)`

/** Maximum faults that are reported for one value. */
export const MAX_FAULTS = 8

/** A fault of a JSON Schema validator. `params`: details by keyword. */
export interface SchemaFault {
  readonly keyword: string
  readonly instancePath: string
  readonly message?: string
  readonly params?: unknown
}

/** Faults as paths (JSON Pointer, RFC 6901) below `base`, each with what is expected. One per path. */
export function describeFaults(faults: Iterable<SchemaFault>, base = ''): { path: string; expected: string }[] {
  const described = new Map<string, string>()
  for (const fault of faults) {
    const params: Record<string, unknown> = typeof fault.params === 'object' && fault.params ? { ...fault.params } : {}
    for (const [path, expected] of describe(fault, params)) if (!described.has(path)) described.set(path, expected)
  }
  return [...described].map(([path, expected]) => ({ path: `${base}${path}`, expected }))
}

function describe(fault: SchemaFault, params: Record<string, unknown>): [path: string, expected: string][] {
  const at = fault.instancePath
  switch (fault.keyword) {
    case 'boolean':
      return [] // accompanies additionalProperties
    case 'propertyNames':
      return [] // summarizes the faults of single names
    case 'additionalProperties':
      return list(params.additionalProperties).map((name) => [`${at}/${pointerPart(name)}`, UNKNOWN])
    case 'required':
      return list(params.requiredProperties).map((name) => [`${at}/${pointerPart(name)}`, 'to be present'])
    case 'enum':
      return [[at, `one of ${list(params.allowedValues).join(', ')}`]]
    case 'type':
      return [[at, `of type ${[params.type].flat().join(' or ')}`]]
    case 'minimum':
    case 'maximum':
      return [[at, `${params.comparison} ${params.limit}`]]
    default:
      return [[at, (fault.message ?? 'valid').replace(/^must (be )?/, '')]]
  }
}

/** The value at a path (JSON Pointer); undefined if there is none. */
export function valueAt(value: unknown, path: string): unknown {
  const names = path.split('/').slice(1)
  const inside = (at: unknown, name: string) =>
    typeof at === 'object' && at !== null
      ? (at as Readonly<Record<string, unknown>>)[name.replaceAll('~1', '/').replaceAll('~0', '~')]
      : undefined
  return names.reduce(inside, value)
}

/** A name escaped for a JSON Pointer. */
export function pointerPart(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1')
}

function list(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : []
}
