#!/usr/bin/env node
/*
 * Writes the generated parts of the documents: node docs/.vitepress/generate.mjs [--check] [folder]
 *
 *   --check  writes nothing, and exits 1 if a part is stale
 *   folder   another copy of the documents
 *
 * A part lies between its markers <!-- name:begin --> and <!-- name:end -->; DOCUMENTS lists them.
 * Also writes the alerts as an object of the Prometheus operator, since kustomize reads no file outside a component,
 * and schemas/messages.json: JSON Schemas of all messages of the built-in kinds.
 * Reads build/, so run `npm run build` first.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cruise } from 'dependency-cruiser'
import extractTSConfig from 'dependency-cruiser/config-utl/extract-ts-config'
import { parse } from 'yaml'
import cruiser, { LAYERS } from '../../.dependency-cruiser.mjs'
import { COMMANDS } from '../../build/src/cli/commands.js'
import { helpOf } from '../../build/src/cli/help.js'
import { SETTINGS } from '../../build/src/config/config.js'
import { Kinds } from '../../build/src/core/kind.js'
import { againOf, socketMessages } from '../../build/src/http/contract/asyncapi.js'
import { Components } from '../../build/src/http/contract/components.js'
import { BUILT_IN_KINDS } from '../../build/src/kinds/index.js'
import { METRICS } from '../../build/src/observability/table.js'
import { assignment, claimPostInFull, claimRequest } from '../../build/src/protocol/claim-messages.js'
import {
  CLIENT_MESSAGES,
  ClaimAnswer,
  CODES,
  ErrorBody,
  OPTIMIZATION_MESSAGES,
  PROCESS_MESSAGES,
  ProblemDetails,
  ProcessList,
  ProcessSnapshot,
  RUN_MESSAGES,
  RunSnapshot,
  STORE_REASONS,
  STREAM_EVENTS,
} from '../../build/src/wire.js'

/** Larger units, by the last word of a setting's name, the largest first. */
const UNITS = { MS: { d: 86_400_000, h: 3_600_000, s: 1000 }, BYTES: { MiB: 1_048_576, KiB: 1024 } }

const ALERTS = readFileSync(new URL('../../deploy/prometheus/alerts.yml', import.meta.url), 'utf8')
const ALERTS_OBJECT = 'deploy/k8s/components/monitoring/prometheus-rule.yaml'

const SCHEMAS = 'schemas/messages.json'

const DOCUMENTS = {
  'docs/reference/settings.md': { settings: settingsTable() },
  'docs/reference/codes.md': { codes: codesTable(), reasons: reasonsTable() },
  'docs/reference/metrics.md': { metrics: metricsTable() },
  'docs/reference/cli.md': { cli: commandsHelp() },
  'docs/reference/sockets.md': { messages: messageTables() },
  'docs/kinds/run.md': { input: inputTable('field of `input`', inputOf('run')) },
  'docs/kinds/optimization.md': { optimization: inputTable('field', inputOf('optimization')) },
  'docs/kinds/benchmark.md': { benchmark: inputTable('field', inputOf('benchmark')) },
  'docs/operate/alerts.md': { alerts: alertsTable() },
  'docs/internals/architecture.md': { layers: await layersPicture() },
  [ALERTS_OBJECT]: {},
  [SCHEMAS]: {},
}

/** Every message by its name. References stay within the file. */
function messageSchemas() {
  const components = new Components('#/$defs/')
  const kinds = new Kinds(BUILT_IN_KINDS)
  const claimable = kinds.claimable.map(({ name }) => name)
  const events = kinds.claimable.flatMap(({ claimEvents }) => Object.values(claimEvents))
  const claims = [claimRequest(claimable), assignment(claimable), claimPostInFull(events), ClaimAnswer]
  const schemas = [...socketMessages(kinds), ...Object.values(STREAM_EVENTS), ErrorBody, ProblemDetails, ...claims]
  for (const schema of schemas) components.refer(schema)
  const head = { $schema: 'https://json-schema.org/draft/2020-12/schema', title: 'Messages of runcast, by their names' }
  return `${JSON.stringify({ ...head, $defs: components.schemas }, null, 2)}\n`
}

function inputOf(kind) {
  return BUILT_IN_KINDS.find(({ name }) => name === kind).input
}

function settingsTable() {
  const rows = Object.entries(SETTINGS).map(([name, { fallback, about }]) => [code(name), described(name, fallback), about])
  return table(['setting', 'default', 'meaning'], rows)
}

function codesTable() {
  const row = (name, reason) => [code(name), reason.close ?? '–', reason.http, againOf(reason), reason.text]
  const rows = Object.entries(CODES).map(([name, reason]) => row(name, reason))
  return table(['name', 'close', 'HTTP', 'connect again', 'text'], rows)
}

function reasonsTable() {
  return table(
    ['reason', 'text'],
    Object.entries(STORE_REASONS).map(([name, text]) => [code(name), text]),
  )
}

/** The help of each command, as the command prints it. */
function commandsHelp() {
  return Object.entries(COMMANDS)
    .map(([name, command]) => `## ${name}\n\n\`\`\`text\n${helpOf(name, command)}\`\`\`\n`)
    .join('\n')
}

/** What goes over sockets, by the schemas that validate it: one table for each direction and dialect. */
function messageTables() {
  const own = Object.fromEntries(Object.entries(OPTIMIZATION_MESSAGES).filter(([name]) => !(name in RUN_MESSAGES)))
  const groups = [
    ['Client to hub', CLIENT_MESSAGES],
    ['Hub to client: run dialect', { 'status (snapshot)': RunSnapshot, ...RUN_MESSAGES }],
    ['Hub to client: optimizations, in addition', own],
    ['Hub to client: process dialect', { process_list: ProcessList, subscribed: ProcessSnapshot, ...PROCESS_MESSAGES }],
  ]
  return groups
    .map(([title, messages]) => {
      const rows = Object.entries(messages).map(([name, schema]) => [code(name), namesOf(without(schema, 'type')).map(code).join(', ')])
      return `## ${title}\n\n${table(['message', 'fields'], rows)}\n`
    })
    .join('\n')
}

function without({ properties, required = [] }, name) {
  const { [name]: _, ...others } = properties
  return { properties: others, required: required.filter((each) => each !== name) }
}

function metricsTable() {
  const served = { hub: 'hubs', worker: 'workers', both: 'both' }
  const row = ([name, { type, of, labels, help }]) => [code(name), type, labels.map(code).join(', '), served[of], help]
  return table(['metric', 'type', 'labels', 'served by', 'meaning'], Object.entries(METRICS).map(row))
}

function alertsTable() {
  const file = parse(ALERTS)
  const row = ({ alert, labels, annotations: { summary, runbook } }) => [
    code(alert),
    labels.severity,
    summary,
    runbook.replace(/\b[A-Z]+(_[A-Z]+)+\b|\brun\w+_\w+\b/g, code),
  ]
  return table(
    ['alert', 'severity', 'what it means', 'what to do'],
    file.groups.flatMap(({ rules }) => rules.map(row)),
  )
}

/**
 * The layers as boxes, in Mermaid. An arrow means that the upper layer imports the lower one. It is omitted if a longer
 * path implies it. An upward import is a dotted arrow.
 */
async function layersPicture() {
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const options = {
    ...cruiser.options,
    baseDir: root,
    includeOnly: { path: '^(src|workers)/' },
    collapse: '^(src/kinds/node|src/[^/]+|workers)',
  }
  const { output } = await cruise(['src', 'workers'], options, undefined, { tsConfig: extractTSConfig(join(root, 'tsconfig.json')) })
  const imports = output.modules.flatMap(({ source, dependencies }) => dependencies.map(({ resolved }) => [source, resolved].map(layerOf)))
  const arrows = imports.filter(([from, to]) => from !== to && from >= 0 && to >= 0)
  const reached = LAYERS.map((_, layer) => new Set(arrows.filter(([from, to]) => from === layer && to > layer).map(([, to]) => to)))
  for (const below of reached.toReversed()) for (const layer of [...below]) for (const lower of reached[layer]) below.add(lower)
  const isImplied = ([from, to]) => arrows.some(([other, next]) => other === from && next > from && next !== to && reached[next].has(to))
  const drawn = arrows.filter(([from, to]) => to < from || !isImplied([from, to])).toSorted((a, b) => a[0] - b[0] || a[1] - b[1])
  const name = (layer) => LAYERS[layer].split('/').at(-1)
  const lines = drawn.map(([from, to]) => `  ${name(from)} ${to > from ? '-->' : '-.->'} ${name(to)}`)
  return ['```mermaid', 'flowchart TD', ...LAYERS.map((layer, i) => `  ${name(i)}["${layer}"]`), ...new Set(lines), '```'].join('\n')
}

/** The index of a path in `LAYERS`; -1 if no layer contains it. */
function layerOf(path) {
  return LAYERS.findIndex((layer) => path === layer || path.startsWith(`${layer}/`))
}

function inputTable(head, input) {
  return table([head, 'what', 'default', 'meaning'], inputRows(input, ''))
}

/** One row per field of a JSON Schema. Nested fields have dotted names. */
function inputRows(schema, base) {
  return Object.entries(schema.properties).flatMap(([name, field]) => {
    if (field.type === 'object' && Object.keys(field.properties).length > 0) return inputRows(field, `${base}${name}.`)
    const isRequired = schema.required?.includes(name) && field.default === undefined
    const fallback = field.default === undefined ? (isRequired ? 'required' : '') : code(JSON.stringify(field.default).replaceAll('"', ''))
    return [[code(base + name), kindOf(field), fallback, field.description ?? '']]
  })
}

function kindOf({ enum: values, type, minimum, maximum, items, minItems, maxItems, minLength, maxLength }) {
  if (values) return values.map(code).join(', ')
  if (type === 'array') return `${minItems ?? 0} to ${maxItems} of: ${items.properties ? fieldsOf(items) : kindOf(items)}`
  if (type === 'object') return 'object'
  if (type === 'string') return minLength === undefined ? 'text' : `text of ${minLength} to ${maxLength} characters`
  return `${type}, ${minimum} to ${maximum}`
}

/** The names of an object's fields; optional ones with a question mark. */
function fieldsOf(schema) {
  return code(`{${namesOf(schema).join(', ')}}`)
}

function namesOf({ properties, required = [] }) {
  return Object.keys(properties).map((name) => (required.includes(name) ? name : `${name}?`))
}

/** The default value; numbers of ms or bytes also in a larger unit. */
function described(name, fallback) {
  if (fallback === '') return ''
  const units = UNITS[name.split('_').at(-1)] ?? {}
  const [unit, size] = Object.entries(units).find(([, size]) => Number(fallback) % size === 0) ?? []
  return unit ? `${code(fallback)} (${Number(fallback) / size} ${unit})` : code(fallback)
}

function code(text) {
  return `\`${text}\``
}

function table(head, rows) {
  const line = (cells) => `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n')
}

/** Replaces a part of a document. Throws if its markers are missing. */
function withPart(text, name, content) {
  const [begin, end] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`]
  const [from, to] = [text.indexOf(begin), text.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`missing markers ${begin} … ${end}`)
  return `${text.slice(0, from)}${begin}\n${content}\n${text.slice(to)}`
}

const args = process.argv.slice(2)
const isCheck = args[0] === '--check'
const folder = args[isCheck ? 1 : 0] ?? fileURLToPath(new URL('../..', import.meta.url))
for (const [file, parts] of Object.entries(DOCUMENTS)) {
  const path = join(folder, file)
  const before = readFileSync(path, 'utf8')
  const head = file === ALERTS_OBJECT ? /^spec:\n/m.exec(before) : null
  const base =
    file === SCHEMAS ? messageSchemas() : head ? `${before.slice(0, head.index)}spec:\n${ALERTS.replace(/^(?=.)/gm, '  ')}` : before
  const after = Object.entries(parts).reduce((text, [name, content]) => withPart(text, name, content), base)
  if (after === before) continue
  if (isCheck) {
    process.stderr.write(`${file} is stale: run "node docs/.vitepress/generate.mjs"\n`)
    process.exitCode = 1
  } else {
    writeFileSync(path, after)
    process.stdout.write(`${file} written\n`)
  }
}
