import t from 'tap'
import Type from 'typebox'
import { definedWork, knownKinds, withBuiltIns } from '../../src/app/define-kind.js'
import { SETTINGS } from '../../src/config/config.js'
import { defineKind, implement, type Kind, loadConfig } from '../../src/index.js'
import { normaliseInput } from '../../src/jobs/input.js'
import { unsafePatterns } from '../../src/protocol/safe-pattern.js'

const PROCESS = { name: 'one', dialect: 'process', input: Type.Object({}), processor: async () => ({}) } as const
const work = { processor: async () => ({ metrics_summary: {} }) }
const RUN = { ...PROCESS, ...work, dialect: 'run', path: 'ones', idField: 'one_id', phases: ['all'] } as const
const SETTING = { about: 'A number.', fallback: '1', read: Number }
const URL_OF_THREAD = new URL('file:///thread.js')

/** As plain JavaScript would call it. */
const define = defineKind as (definition: object) => Kind

t.test('[KIND-6] a definition that is wrong throws, says which field, and adds nothing', async (t) => {
  const before = definedWork()
  const cases: [definition: object, message: RegExp][] = [
    ...['Tour', '1st', 'a b', '', 'x'.repeat(33)].map((name): [object, RegExp] => [{ ...PROCESS, name }, /^defineKind: name: expected /]),
    [{ ...PROCESS, dialect: 'sse' }, /^defineKind: dialect: expected run or process$/],
    [{ ...PROCESS, dialect: undefined }, /^defineKind: dialect: /],
    [{ ...PROCESS, input: undefined }, /^defineKind: input: /],
    [{ ...PROCESS, input: Type.String() }, /^defineKind: input: expected the JSON Schema of an object/],
    [{ ...PROCESS, input: { type: 'object' } }, /^defineKind: input: /],
    [{ ...PROCESS, input: Type.Object({ a: Type.String({ pattern: '(' }) }) }, /^defineKind: input: .*regular expression/i],
    ...[
      Type.Object({ a: Type.String({ pattern: '^(a+)+$' }) }),
      Type.Object({ a: Type.Array(Type.Union([Type.Null(), Type.String({ pattern: '^(a|aa)+$' })])) }),
      { type: 'object', properties: {}, patternProperties: { '^\\S+@\\S+$': {} } },
    ].map((input): [object, RegExp] => [{ ...PROCESS, input }, /^defineKind: input: the pattern \^\S+ may backtrack: .*trustPatterns/]),
    [{ ...PROCESS, attempts: 0 }, /^defineKind: attempts: expected >= 1$/],
    [{ ...PROCESS, attempts: 1.5 }, /^defineKind: attempts: expected of type integer$/],
    [{ ...PROCESS, timeoutS: 0.5 }, /^defineKind: timeoutS: expected >= 1$/],
    [{ ...PROCESS, timeoutS: 604_801 }, /^defineKind: timeoutS: expected <= 604800$/],
    [{ ...PROCESS, concurrency: 65 }, /^defineKind: concurrency: expected <= 64$/],
    [{ ...PROCESS, timeout: 5 }, /^defineKind: timeout: expected to be absent/],
    [{ ...PROCESS, path: 'ones' }, /^defineKind: path: expected to be absent/],
    [{ ...PROCESS, processor: 'solve' }, /^defineKind: processor: expected a function/],
    [{ ...PROCESS, thread: URL_OF_THREAD }, /^defineKind: processor, thread: expected one of them, not both$/],
    [{ ...PROCESS, processor: undefined, thread: './thread.js' }, /^defineKind: thread: expected the URL of a module$/],
    [{ ...PROCESS, settings: { oneTimeout: SETTING } }, /^defineKind: settings\/oneTimeout: expected/],
    [
      { ...PROCESS, settings: { ONE_TIMEOUT: { ...SETTING, fallback: 1 } } },
      /^defineKind: settings\/ONE_TIMEOUT\/fallback: expected of type string$/,
    ],
    [{ ...PROCESS, settings: { ONE_TIMEOUT: { ...SETTING, read: 1 } } }, /^defineKind: settings\/ONE_TIMEOUT\/read: expected a function$/],
    [{ ...PROCESS, timeoutS: { setting: 'ONE_TIMEOUT' } }, /^defineKind: timeoutS\/setting: expected the name of a setting of this kind$/],
    [{ ...RUN, path: undefined }, /^defineKind: path: /],
    ...['one', 'type', 'One_id', '_id'].map((idField): [object, RegExp] => [{ ...RUN, idField }, /^defineKind: idField: expected match/]),
    [{ ...RUN, phases: [] }, /^defineKind: phases: /],
    [{ ...RUN, phases: ['a', 'a'] }, /^defineKind: phases: /],
    [{ ...RUN, phases: ['a', ''] }, /^defineKind: phases\/1: /],
  ]
  for (const [definition, message] of cases) t.throws(() => define(definition), { name: 'TypeError', message }, String(message))
  t.same(definedWork(), before)
})

t.test('[KIND-6] usual patterns are safe, and a pattern may be trusted', async (t) => {
  const patterns = [
    '^[a-z][a-z0-9-]{0,31}$',
    '^[A-Z]{2}\\d{2}[A-Z0-9]{1,30}$',
    '^[a-z0-9]+(-[a-z0-9]+)*$',
    '^\\d{4}-\\d\\d-\\d\\d$',
    '^https?://\\S+$',
    '^[\\p{L}\\p{N} _-]{1,200}$',
    '\\.csv$',
  ]
  t.same(unsafePatterns(Type.Object({ a: Type.Union(patterns.map((pattern) => Type.String({ pattern }))) })), [])
  const input = Type.Object({ a: Type.String({ pattern: '^(a+)+$' }) })
  t.ok(define({ ...PROCESS, name: 'trusting', input, trustPatterns: true }))
})

t.test('[KIND-6] two kinds of a hub or worker have no name in common, and none that is reserved', async (t) => {
  const first = define({ ...RUN, name: 'first', path: 'firsts', idField: 'first_id' })
  const second = { ...RUN, name: 'second', path: 'seconds', idField: 'second_id' }
  const cases: [changed: object, message: RegExp][] = [
    ...['first', 'run', 'solver', 'benchmark', 'active', 'ended', 'count', 'live'].map((name): [object, RegExp] => [
      { name },
      new RegExp(`^name: ${name} is used by another kind or reserved: choose another$`),
    ]),
    [{ processType: 'solver' }, /^processType: solver is used/],
    ...['firsts', 'runs', 'optimizations', 'ws', 'cursor'].map((path): [object, RegExp] => [{ path }, /^path: \w+ is used/]),
    ...['first_id', 'run_id', 'process_id'].map((idField): [object, RegExp] => [{ idField }, /^idField: \w+ is used/]),
    [{ settings: { RUN_TIMEOUT_S: SETTING } }, /^settings: RUN_TIMEOUT_S is used/],
  ]
  for (const [changed, message] of cases) {
    const { processor: _short, ...contract } = { ...second, ...changed }
    t.throws(() => withBuiltIns([first, define(contract)]), { name: 'TypeError', message }, String(message))
  }
  t.same(withBuiltIns([first, first]).names, ['run', 'optimization', 'benchmark', 'first'], 'the same one twice is one')
})

t.test('[KIND-6] a computation fits its kind', async (t) => {
  const { processor: run, ...contract } = PROCESS
  const kind = define(contract) as never
  t.match(implement(kind, { run }), { kind, computation: { run } })
  const steps = define({ ...contract, name: 'walk', inSteps: true }) as never
  t.ok(implement(steps, { steps: () => async () => {} }))
  for (const [of, computation, message] of [
    [kind, {}, /one: expected one of run, prepare, thread, program, steps$/],
    [kind, { run, thread: URL_OF_THREAD }, /one: expected one of run/],
    [kind, { thread: './thread.js' }, /one: thread: expected the URL of a module$/],
    [kind, { steps: () => async () => {} }, /one: the kind does not run in steps$/],
    [kind, { run: 'x' }, /one: run: expected a function$/],
    [kind, undefined, /one: expected one of run/],
    [{ ...(kind as object) }, { run }, /expected a kind, as defineKind returns it$/],
    [kind, { program: { command: 'x' } }, /one: program: expected a kind in the run dialect$/],
    [steps, { run }, /walk: expected steps/],
  ] as const)
    t.throws(() => implement(of as never, computation as never), { name: 'TypeError', message })
})

t.test('[KIND-2] a kind in the short form is one that hubs and workers which are built later know', async (t) => {
  t.notOk(SETTINGS.WORKER_KINDS.fallback.includes('late'))
  const late = defineKind({ ...PROCESS, name: 'late' })
  t.equal(knownKinds().find('late'), late)
  t.ok(loadConfig({}).WORKER_KINDS.includes('late'))
  t.same(loadConfig({ WORKER_KINDS: 'late' }).WORKER_KINDS, ['late'])
  t.throws(() => loadConfig({ WORKER_KINDS: 'later' }), /WORKER_KINDS: expected one or more of run, .*late/)
  const { processor: _short, ...contract } = PROCESS
  defineKind({ ...contract, name: 'alone' })
  t.notOk(knownKinds().find('alone'), 'a contract alone is for whoever is given it')
})

t.test('[KIND-1] defaults of a plain JSON Schema are filled in at every depth, and its JSON is as it was', async (t) => {
  const leaf = { type: 'integer', default: 7 }
  const input = {
    type: 'object',
    properties: {
      deep: { type: 'object', default: {}, properties: { leaf } },
      list: { type: 'array', items: { type: 'object', properties: { leaf } } },
      either: { anyOf: [{ type: 'null' }, { type: 'object', required: ['a'], properties: { a: { type: 'string' }, leaf } }] },
    },
  }
  const plain = JSON.stringify(input)
  const kind: Kind = defineKind({ ...PROCESS, name: 'plain', input })
  t.same(normaliseInput(kind, { list: [{}, { leaf: 1 }], either: { a: 'b' } }), {
    deep: { leaf: 7 },
    list: [{ leaf: 7 }, { leaf: 1 }],
    either: { a: 'b', leaf: 7 },
  })
  t.throws(() => normaliseInput(kind, { list: [{ leaf: 1.5 }] }), { code: 'invalid', detail: [{ path: '/input/list/0/leaf' }] })
  t.equal(JSON.stringify(input), plain)
})
