import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import type { KubeObject } from './objects.js'

/** Where the models of an API group lie, made from its OpenAPI document; what is not listed is Kubernetes' own. */
const PACKAGES: Readonly<Record<string, string>> = {
  'keda.sh': '@kubernetes-models/keda',
  'monitoring.coreos.com': '@kubernetes-models/prometheus-operator',
}

interface Model {
  /** Throws what is missing or of a wrong type. */
  validate(): void
}

/** What is wrong with objects by the schemas of their kinds, strictly: a field that its schema does not have is wrong too. Each with its path. */
export async function schemaFaults(objects: readonly KubeObject[]): Promise<string[]> {
  const known = knownFields(objects)
  const faults = await Promise.all(objects.map(async (object, i) => [...(await typeFaults(object)), ...known(object, i)]))
  return faults.flat()
}

function moduleOf({ apiVersion, kind }: KubeObject): string {
  const [group = ''] = apiVersion.split('/')
  return `${PACKAGES[group] ?? 'kubernetes-models'}/${apiVersion}/${kind}`
}

function nameOf({ kind, metadata }: KubeObject): string {
  return `${kind} ${metadata.name}`
}

/** By the compiled JSON schema of the kind. */
async function typeFaults(object: KubeObject): Promise<string[]> {
  const models = (await import(moduleOf(object))) as Record<string, new (data: object) => Model> // each module exports the class of its kind
  const Model = models[object.kind]
  if (!Model) return [`${nameOf(object)}: no schema`]
  try {
    new Model(object).validate()
    return []
  } catch (error) {
    return [`${nameOf(object)}: ${error instanceof Error ? error.message : error}`]
  }
}

type Known = (object: KubeObject, index: number) => string[]

/** By the list of kinds: reading the types takes a second, and most tests ask of the same kinds. */
const read = new Map<string, Known>()
/** The files of all of them; none changes while the tests run. */
const files = new Map<string, ts.SourceFile | undefined>()

/** By the types that were made from the same schemas: the JSON schemas let unknown fields pass. Answers what tells of the object with this index. */
function knownFields(objects: readonly KubeObject[]): Known {
  const text = objects
    .map((object, i) => `import type { I${object.kind} as T${i} } from '${moduleOf(object)}'; export declare const o${i}: T${i}`)
    .join('\n')
  const known = read.get(text) ?? readTypes(text)
  read.set(text, known)
  return known
}

/** Of a module that declares each object as what its kind is. */
function readTypes(text: string): Known {
  const path = fileURLToPath(new URL('strict-schema-kinds.ts', import.meta.url))
  const options: ts.CompilerOptions = {
    module: ts.ModuleKind.NodeNext,
    target: ts.ScriptTarget.ES2023,
    strict: true,
    skipLibCheck: true,
    types: [],
  }
  const host = ts.createCompilerHost(options)
  const { getSourceFile, fileExists } = host
  host.fileExists = (name) => name === path || fileExists(name)
  host.getSourceFile = (name, target) => {
    if (name === path) return ts.createSourceFile(name, text, target)
    if (!files.has(name)) files.set(name, getSourceFile(name, target))
    return files.get(name)
  }
  const program = ts.createProgram([path], options, host)
  const checker = program.getTypeChecker()
  const source = program.getSourceFile(path)
  const module = source && checker.getSymbolAtLocation(source)
  if (!module) throw new Error('the types of the schemas cannot be read')
  const types = new Map(checker.getExportsOfModule(module).map((symbol) => [symbol.name, checker.getTypeOfSymbol(symbol)]))
  return (object, i) => {
    const type = types.get(`o${i}`)
    if (!type || type.flags & ts.TypeFlags.Any) return [`${nameOf(object)}: no schema`]
    return unknownFields(checker, type, object, '').map((field) => `${nameOf(object)}: unknown field ${field}`)
  }
}

/** The paths of fields that the type does not have. */
function unknownFields(checker: ts.TypeChecker, type: ts.Type, value: unknown, path: string): string[] {
  if (typeof value !== 'object' || value === null) return []
  const known = checker.getNonNullableType(type)
  if (known.flags & (ts.TypeFlags.Any | ts.TypeFlags.Unknown | ts.TypeFlags.NonPrimitive)) return []
  if (Array.isArray(value)) {
    const item = checker.getIndexTypeOfType(known, ts.IndexKind.Number)
    return value.flatMap((element, i) => (item ? unknownFields(checker, item, element, `${path}/${i}`) : [`${path}/${i}`]))
  }
  return Object.entries(value).flatMap(([name, field]) => {
    const property = checker.getPropertyOfType(known, name)
    const own = property ? checker.getTypeOfSymbol(property) : checker.getIndexTypeOfType(known, ts.IndexKind.String)
    return own ? unknownFields(checker, own, field, `${path}/${name}`) : [`${path}/${name}`]
  })
}
