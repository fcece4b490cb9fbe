#!/usr/bin/env node
/*
 * Builds dist/ from the compiled client in build/ and prints its size: npm run build:client
 *
 * Scripts and declarations are copied. Of declarations with TypeBox types only the types that the client uses are
 * written, expanded, so that the package has no dependencies.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import ts from 'typescript'

const DIST = fileURLToPath(new URL('dist/', import.meta.url))
const COMPILED = fileURLToPath(new URL('../../build/src/', import.meta.url))
const ENTRY = join(COMPILED, 'client/index')

const modules = [...reach(`${ENTRY}.js`, '.js').keys()]
const declarations = reach(`${ENTRY}.d.ts`, '.d.ts')
const program = ts.createProgram([`${ENTRY}.d.ts`], {
  strict: true,
  exactOptionalPropertyTypes: true,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  target: ts.ScriptTarget.ES2023,
  lib: ['lib.es2023.d.ts'],
  types: [],
})
const checker = program.getTypeChecker()

rmSync(DIST, { recursive: true, force: true })
const texts = modules.map((file) =>
  put(
    file,
    readFileSync(file, 'utf8')
      .replace(/^\/\/# sourceMappingURL=.*$/gm, '')
      .trimEnd(),
  ),
)
for (const [file, names] of declarations) put(file, needsTypeBox(file) ? expanded(file, names) : readFileSync(file, 'utf8').trimEnd())
const kilobytes = (bytes) => `${(bytes / 1000).toFixed(1)} kB`
console.log(
  `@runcast/client: ${modules.length} modules, ${kilobytes(texts.join('').length)}, ${kilobytes(gzipSync(texts.join('')).length)} gzipped`,
)

/**
 * The files that a file imports, directly or not, including itself, each with the names imported from it. Files that
 * need TypeBox are not followed.
 */
function reach(entry, end) {
  const reached = new Map()
  const visit = (file, names) => {
    const known = reached.get(file)
    reached.set(file, new Set([...(known ?? []), ...names]))
    if (known || (end === '.d.ts' && needsTypeBox(file))) return
    for (const statement of parsed(file).statements) {
      if (!ts.isImportDeclaration(statement) && !ts.isExportDeclaration(statement)) continue
      const specifier = statement.moduleSpecifier?.text
      if (specifier === undefined) continue
      if (!specifier.startsWith('.'))
        throw new Error(`${relative(COMPILED, file)} imports ${specifier}: the client must not need a package`)
      visit(join(dirname(file), specifier.replace(/\.js$/, end)), namesOf(statement))
    }
  }
  visit(entry, [])
  return reached
}

/** The names of an import or export declaration. */
function namesOf(statement) {
  const bindings = ts.isImportDeclaration(statement) ? statement.importClause?.namedBindings : statement.exportClause
  return bindings?.elements?.map(({ name, propertyName }) => (propertyName ?? name).text) ?? []
}

function needsTypeBox(file) {
  return /from ['"]typebox/.test(readFileSync(file, 'utf8'))
}

function parsed(file) {
  return ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest)
}

/** Declarations of these types, expanded. */
function expanded(file, names) {
  const exported = checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(file)))
  return [...names]
    .toSorted()
    .map((name) => {
      const symbol = exported.find((symbol) => symbol.name === name && symbol.flags & ts.SymbolFlags.TypeAlias)
      if (!symbol) throw new Error(`${relative(COMPILED, file)} has no type ${name} to expand`)
      const comment = ts.displayPartsToString(symbol.getDocumentationComment(checker))
      return `${comment && `/** ${comment} */\n`}export type ${name} = ${textOf(checker.getDeclaredTypeOfSymbol(symbol), '')};`
    })
    .join('\n')
}

/** A type with all aliases resolved. Limited to what schemas contain: JSON types that do not refer to themselves. */
function textOf(type, indent) {
  const parts = partsOf(type)
  if (parts.length > 1) return parts.map((part) => textOf(part, indent)).join(' | ')
  const [part] = parts
  if (typeof part === 'string') return part
  if (checker.isArrayType(part)) return `Array<${textOf(checker.getTypeArguments(part)[0], indent)}>`
  // Any text beside known ones.
  if (part.isIntersection() && part.types.some(({ flags }) => flags & ts.TypeFlags.String)) return `(${checker.typeToString(part)})`
  if (!(part.flags & (ts.TypeFlags.Object | ts.TypeFlags.Intersection))) return checker.typeToString(part)
  if (checker.isTupleType(part))
    return `[${checker
      .getTypeArguments(part)
      .map((item) => textOf(item, indent))
      .join(', ')}]`
  if (part.getCallSignatures().length > 0) throw new Error(`${checker.typeToString(part)} cannot be expanded`)
  const inner = `${indent}    `
  const fields = part.getProperties().map((property) => {
    const name = /^\w+$/.test(property.name) ? property.name : JSON.stringify(property.name)
    const optional = property.flags & ts.SymbolFlags.Optional ? '?' : ''
    return `${inner}${name}${optional}: ${textOf(checker.getTypeOfSymbol(property), inner)};`
  })
  const indexes = checker.getIndexInfosOfType(part).map(({ keyType, type }) => {
    return `${inner}[name: ${checker.typeToString(keyType)}]: ${textOf(type, inner)};`
  })
  return `{\n${[...fields, ...indexes].join('\n')}\n${indent}}`
}

/**
 * The members of a union; another type is its only member. `undefined` is dropped: JSON has none, it marks an optional
 * field.
 */
function partsOf(type) {
  if (!type.isUnion() || type.flags & ts.TypeFlags.Boolean) return [type]
  const parts = type.types.filter(({ flags }) => !(flags & ts.TypeFlags.Undefined))
  const others = parts.filter(({ flags }) => !(flags & ts.TypeFlags.BooleanLiteral))
  return parts.length - others.length === 2 ? [...others, 'boolean'] : parts
}

/** Writes a file of the package and returns its text. */
function put(file, text) {
  const path = join(DIST, relative(COMPILED, file))
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, `${text}\n`)
  return text
}
