import t from 'tap'
import Type, { type Static, type TSchema } from 'typebox'
import { bodyValidator } from '../../src/http/plugins/validation.js'
import { digestOf, normaliseInput, objectOf } from '../../src/jobs/input.js'
import { BenchmarkInput } from '../../src/kinds/benchmark/input.js'
import { OptimizationInput, optimizationInputFaults } from '../../src/kinds/optimization/input.js'
import { optimizationKind } from '../../src/kinds/optimization/kind.js'
import { HornInput } from '../../src/kinds/run/input.js'
import { runKind } from '../../src/kinds/run/kind.js'
import { Checker } from '../../src/protocol/checker.js'
import { ClaimPost } from '../../src/protocol/claim-messages.js'
import { decodeClientMessage } from '../../src/protocol/codec.js'
import { RuncastError } from '../../src/protocol/codes.js'
import { MAX_FAULTS } from '../../src/protocol/faults.js'
import { ExactNumber, MAX_JSON_DEPTH, parseJson, plainJson, readJson, stringifyJson } from '../../src/protocol/json.js'

const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)

t.test('[SOLVER-1] a number that a double would change keeps its text', async (t) => {
  for (const text of [
    '9007199254740993',
    '-9007199254740993',
    '1e400',
    '-1e400',
    '1e-400',
    '12345678901234567890',
    '0.10000000000000000001',
  ])
    t.same([stringifyJson(parseJson(text)), parseJson(text)], [text, new ExactNumber(text)], text)
  t.equal(stringifyJson(parseJson('-0')), '-0')
  for (const [text, written] of Object.entries({ '0.1': '0.1', '1.0': '1', '5e-324': '5e-324', '1e23': '1e+23', '0e999': '0' }))
    t.same([stringifyJson(parseJson(text)), typeof parseJson(text)], [written, 'number'], text)
  const whole = '{"a":[9007199254740993,{"b":1e400,"c":"9007199254740993"}],"d":-0,"e":"\\"1e400"}'
  t.equal(stringifyJson(parseJson(whole)), whole)
  t.same(readJson(whole), parseJson(whole))
  t.equal(stringifyJson(readJson(nested(500))), nested(500), 'what is stored may be older than the limit')
  for (const text of ['{1e400:1}', '[1e400', '01e400', '1e400e', '[1-9007199254740993]', '-', '1e', '"\\"'])
    t.throws(() => parseJson(text), SyntaxError, text)
})

t.test('[JOB-4] names of fields are plain data', async (t) => {
  const text = '{"__proto__":{"polluted":1e400},"constructor":{"prototype":1},"a":1,"a":2}'
  const value = plainJson(parseJson(text), '', 'exact') as object
  t.equal(stringifyJson(value), text.replace('"a":1,', ''))
  t.equal(Object.getPrototypeOf(value), Object.prototype)
  t.notOk('polluted' in {})
  const Open = Type.Object({ constructor: Type.Optional(Type.Number()), toString: Type.Number({ default: 3 }) })
  t.same(Object.entries(new Checker(Open).fill(parseJson('{"__proto__":1}')) as object), [
    ['__proto__', 1],
    ['toString', 3],
  ])
})

t.test('[JOB-4] nesting deeper than 64 is refused, by one parser for all that comes in', async (t) => {
  t.ok(parseJson(nested(MAX_JSON_DEPTH)))
  t.ok(parseJson(`["${'['.repeat(100)}"]`), 'a text is not nested')
  for (const depth of [65, 3000, 30_000]) {
    t.throws(() => parseJson(nested(depth)), { message: 'nested deeper than 64' }, `${depth}`)
    t.same(decodeClientMessage(nested(depth)), { type: 'violation', request: null, reason: 'The message is nested deeper than 64.' })
  }
  const circle: unknown[] = []
  circle.push(circle)
  t.match(faultsOf(() => objectOf({ circle }))[0], { path: `/input/circle${'/0'.repeat(63)}`, expected: /^at most 64 levels/ })
})

t.test('[JOB-4] what JSON cannot hold is refused with its path, not changed', async (t) => {
  const values: [value: unknown, expected: RegExp][] = [
    [Number.NaN, /not NaN/],
    [Number.NEGATIVE_INFINITY, /not -Infinity/],
    [() => 1, /^a JSON value$/],
    [Symbol('s'), /^a JSON value$/],
    [new Map([[1, 2]]), /not a Map or Set/],
  ]
  for (const [value, expected] of values)
    t.match(
      faultsOf(() => objectOf({ a: [value] })),
      [{ path: '/input/a/0', expected }],
      String(value),
    )
  t.equal(
    stringifyJson(objectOf({ a: 2n ** 53n + 1n, b: undefined, c: new Date(0), d: -0 })),
    '{"a":9007199254740993,"c":"1970-01-01T00:00:00.000Z","d":-0}',
  )
  for (const value of [undefined, null, 5, 'x', [], new ExactNumber('1e400')])
    t.same(
      faultsOf(() => objectOf(value)),
      [{ path: '/input', expected: 'an object' }],
      String(value),
    )
})

t.test('[JOB-4] NaN and infinities in a text are refused with their paths', async (t) => {
  const text = '{"events":[{"value":NaN,"text":"NaN, \\"Infinity"},{"value":-Infinity},1e400],"a/b":Infinity}'
  const said = (name: string) => `a finite number, not ${name}`
  const faults = [
    { path: '/events/0/value', expected: said('NaN') },
    { path: '/events/1/value', expected: said('-Infinity') },
    { path: '/a~1b', expected: said('Infinity') },
  ]
  t.same(
    faultsOf(() => parseJson(text)),
    faults,
  )
  for (const broken of ['{"a":NaN', '[NaNs]', '[1NaN]', '[--Infinity]', '{NaN:1}', '{NaN:NaN}', '[NaN,oops]', '{"a":NaN,"a":1}'])
    t.throws(() => parseJson(broken), SyntaxError, broken)
  const many = '\\"'.repeat(500_000)
  t.throws(() => parseJson(`[NaN,"${many}`), SyntaxError, 'in linear time')
  t.match(decodeClientMessage('{"type":NaN}'), { type: 'violation', request: null })
})

t.test('[JOB-4] a typed input refuses what a double cannot hold, and rounds fractions', async (t) => {
  const horn = (width: string) =>
    parseJson(`{"material":"ti-6al-4v","profile":"uniform","width_mm":${width},"height_mm":126.71,"thickness_mm":25}`)
  t.equal(normaliseInput(runKind, horn('0.10000000000000000001')).width_mm, 0.1)
  for (const width of ['9007199254740993', '1e400', '1e-400'])
    t.same(
      faultsOf(() => normaliseInput(runKind, horn(width))),
      [{ path: '/input/width_mm', expected: 'a number that a double (IEEE 754) can hold' }],
      width,
    )
  const base = { variables: [{ name: 'width_mm', min: 1, max: 2 }], objectives: [{ metric: 'gain', direction: 'maximize' }] }
  t.match(
    faultsOf(() => normaliseInput(optimizationKind, { ...base, base: { seed: new ExactNumber('9007199254740993') } })),
    [{ path: '/input/base/seed' }],
  )
  const check = bodyValidator(Type.Object({ input: Type.Object({}), other: Type.Unknown() }), 'input')
  t.match(check(parseJson('{"input":{"a":1e400},"other":1e400}')), { error: { detail: [{ path: '/other' }] } })
  t.match(check(parseJson('{"input":{"a":1e400},"other":1}')), { value: { input: { a: new ExactNumber('1e400') } } })
})

t.test('[JOB-2] the digest counts a number by its text where a double would change it', async (t) => {
  const digest = (text: string) => digestOf(runKind, objectOf(parseJson(text)))
  t.not(digest('{"a":9007199254740993}'), digest('{"a":9007199254740992}'))
  t.not(digest('{"a":1e400}'), digest('{"a":1e401}'))
  t.not(digest('{"a":-0}'), digest('{"a":0}'))
  t.equal(digest('{"a":1.0,"b":10}'), digest('{"b":1e1,"a":1}'), 'and by its value where it would not')
})

t.test('[KIND-1] items are unique by their value, whatever the order of their fields', async (t) => {
  const List = Type.Object({ a: Type.Array(Type.Unknown(), { uniqueItems: true }) })
  const Nested = { anyOf: [{ type: 'array', items: { type: 'array', uniqueItems: true } }] }
  const isValid = (schema: object, text: string) => new Checker(schema as TSchema).check(parseJson(text))
  for (const items of ['', '0,"0",false,null,"",[],{}', '{"a":1},{"a":2}', '"[1]",[1]', '[1,2],[2,1]'])
    t.ok(isValid(List, `{"a":[${items}]}`), items)
  for (const items of ['0,1,0', '1,1.0', '0,-0', 'null,null', '{},{}', '{"a":1,"b":[2]},{"b":[2],"a":1}', '"é","\\u00e9"'])
    t.notOk(isValid(List, `{"a":[${items}]}`), items)
  t.ok(isValid(Nested, '[[1,2],[1,2]]'))
  t.notOk(isValid(Nested, '[[1,1]]'))
  t.same(new Checker(Nested as TSchema).faults([[1, 1]]), [{ path: '/0', expected: 'not have duplicate items' }])
})

t.test('[JOB-4] the worst of bodies and frames costs milliseconds, and a few faults', async (t) => {
  const many = (item: string, bytes = 65_000) =>
    Array(Math.floor(bytes / (item.length + 1)))
      .fill(item)
      .join()
  const fields = (value: string) => Array.from({ length: 4600 }, (_, i) => `"k${i}":${value}`).join()
  const Open = Type.Object({ a: Type.Array(Type.Unknown(), { uniqueItems: true }) })
  const Union = Type.Object({
    a: Type.Array(Type.Union([Type.Object({ k: Type.Literal(1), d: Type.Number({ default: 1 }) }), Type.Null()])),
  })
  const cases: [name: string, schema: TSchema, body: string, paths: readonly string[]][] = [
    ...['0', '""', '[]', '{}', '"a"'].map((item): [string, TSchema, string, string[]] => [
      `models of ${item}`,
      BenchmarkInput,
      `{"models":[${many(item)}]}`,
      ['/models'],
    ]),
    ['tiers', BenchmarkInput, `{"models":["a/b"],"context_tiers":[${many('0')}]}`, ['/context_tiers']],
    ['variables', OptimizationInput, `{"variables":[${many('{}')}],"objectives":[]}`, ['/variables', '/objectives']],
    [
      'a pattern',
      OptimizationInput,
      `{"variables":[{"name":"${'a.'.repeat(32_000)}","min":0,"max":1}],"objectives":[]}`,
      ['/variables/0/name', '/objectives'],
    ],
    ['events', ClaimPost, `{"round":1,"token":1,"n":1,"events":[${many('{}')}]}`, ['/events']],
    ['items that repeat', Open, `{"a":[${many('0')}]}`, ['/a']],
    ['a list of alternatives', Union, `{"a":[${many('null', 60_000)},{"k":2}]}`, ['/a/12000/d', '/a/12000/k']],
  ]
  const cpuMs = (act: () => void) => {
    const start = process.cpuUsage()
    act()
    const { user, system } = process.cpuUsage(start)
    return (user + system) / 1000
  }
  for (const [name, schema, body, paths] of cases) {
    const check = bodyValidator(schema)
    let answer: unknown
    // A hundred times what it takes on a quiet machine, and a tenth of what the first of them took once.
    t.ok(cpuMs(() => (answer = check(parseJson(body)))) < 800, `${name}: soon`)
    const { detail } = (answer as { error: RuncastError }).error
    t.same(
      detail.map(({ path }) => path),
      paths,
      name,
    )
  }
  for (const [name, schema] of Object.entries({ HornInput, BenchmarkInput, OptimizationInput, ClaimPost })) {
    const { error } = bodyValidator(schema)(parseJson(`{${fields('0')}}`)) as { error: RuncastError }
    const unknown = error.detail.filter(({ expected }) => expected.startsWith('to be absent'))
    t.ok(unknown.length > 0 && unknown.length <= MAX_FAULTS, `${name}: ${unknown.length} of 4600 unknown fields are told`)
  }
  const optimization = new Checker(OptimizationInput).fill({
    ...{ solver: 'horn-2d', population: 4, generations: 2, objectives: [{ metric: 'a', goal: 'min' }] },
    ...{ variables: [{ name: 'width_mm', min: 10, max: 20 }], base: parseJson(`{${fields('0')}}`) },
  }) as Static<typeof OptimizationInput>
  t.ok(cpuMs(() => t.ok(optimizationInputFaults(optimization, []).length < 50)) < 800, 'a base of many fields: soon')
  t.ok(cpuMs(() => decodeClientMessage(`{"type":"subscribe","process_id":"a","after":[${many('{}', 60_000)}]}`)) < 800)
})

function faultsOf(act: () => unknown): RuncastError['detail'] {
  try {
    act()
  } catch (error) {
    if (error instanceof RuncastError) return error.detail
    throw error
  }
  throw new Error('nothing was refused')
}
