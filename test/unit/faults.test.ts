import t from 'tap'
import Type from 'typebox'
import { Compile } from 'typebox/compile'
import { digestOf, normaliseInput } from '../../src/jobs/input.js'
import { HornInput } from '../../src/kinds/run/input.js'
import { runKind } from '../../src/kinds/run/kind.js'
import { RuncastError } from '../../src/protocol/codes.js'
import { describeFaults } from '../../src/protocol/faults.js'

const BAR = { material: 'ti-6al-4v', profile: 'uniform', width_mm: 25, height_mm: 126.71, thickness_mm: 25 }

t.test('[JOB-4] each keyword of a schema is told in words', async (t) => {
  const schema = Type.Object(
    {
      text: Type.Optional(Type.String({ minLength: 2, maxLength: 3, pattern: '^a' })),
      number: Type.Optional(Type.Number({ minimum: 1, maximum: 2 })),
      above: Type.Optional(Type.Number({ exclusiveMinimum: 0, multipleOf: 2 })),
      list: Type.Optional(Type.Array(Type.Integer(), { minItems: 1 })),
      choice: Type.Optional(Type.Enum(['a', 'b'])),
      one: Type.Optional(Type.Literal('x')),
      either: Type.Optional(Type.Union([Type.String(), Type.Null()])),
      deep: Type.Optional(Type.Object({ er: Type.Object({ needed: Type.Boolean() }, { additionalProperties: false }) })),
    },
    { additionalProperties: false },
  )
  const validator = Compile(schema)
  const cases: [value: unknown, faults: Record<string, string | RegExp>][] = [
    [[], { '': 'of type object' }],
    [{ number: 0 }, { '/number': '>= 1' }],
    [{ number: 3 }, { '/number': '<= 2' }],
    [{ number: 'x' }, { '/number': 'of type number' }],
    [{ above: -3 }, { '/above': /> 0/ }],
    [{ text: 5 }, { '/text': 'of type string' }],
    [{ text: 'b' }, { '/text': /.+/ }],
    [{ list: [1, 'x'] }, { '/list/1': 'of type integer' }],
    [{ list: [] }, { '/list': /1 items?/ }],
    [{ choice: 'c' }, { '/choice': 'one of a, b' }],
    [{ one: 'y' }, { '/one': /.+/ }],
    [{ either: 5 }, { '/either': /.+/ }],
    [{ deep: { er: {} } }, { '/deep/er/needed': 'to be present' }],
    [{ deep: { er: { needed: true, more: 1, most: 2 } } }, { '/deep/er/more': /absent/, '/deep/er/most': /absent/ }],
    [
      { 'a/b': 1, '~': 2 },
      { '/a~1b': /absent/, '/~0': /absent/ },
    ],
    [
      { number: 0, choice: 'c', other: 1 },
      { '/number': '>= 1', '/choice': 'one of a, b', '/other': /absent/ },
    ],
  ]
  for (const [value, faults] of cases) {
    const told = describeFaults(validator.Errors(value))
    const name = JSON.stringify(value)
    t.match(Object.fromEntries(told.map(({ path, expected }) => [path, expected])), faults, name)
    t.same(told.map(({ path }) => path).sort(), Object.keys(faults).sort(), `${name}: each path once, and no others`)
    for (const { expected } of told) t.notMatch(expected, /^must|undefined|\[object/, name)
  }
  t.same(describeFaults(validator.Errors({ number: 0 }), '/querystring'), [{ path: '/querystring/number', expected: '>= 1' }])
  t.same(describeFaults([]), [])
  t.same(describeFaults([{ keyword: 'new', instancePath: '/x' }]), [{ path: '/x', expected: 'valid' }], 'a keyword that nobody knows')
})

t.test('[JOB-4] an input that is not valid is refused with all its faults; what was given is left as it was', async (t) => {
  const given = { ...BAR, width_mm: -1, mesh: { elements_x: 1 }, colour: 'red' }
  const copy = structuredClone(given)
  const refusal = refusalOf(given)
  t.equal(refusal.code, 'invalid')
  t.same(refusal.detail.map(({ path }) => path).sort(), ['/input/colour', '/input/mesh/elements_x', '/input/width_mm'])
  t.same(given, copy)
  t.match(refusalOf({ ...BAR, profile: 'stepped' }).detail, [{ path: '/input/tip_thickness_mm', expected: /^a number/ }])
  t.match(refusalOf({ ...BAR, tip_thickness_mm: 8 }).detail, [{ path: '/input/tip_thickness_mm', expected: /^to be absent/ }])
  t.ok(normaliseInput(runKind, { ...BAR, tip_thickness_mm: BAR.thickness_mm }), 'a tip like the rest is no fault')
  t.ok(normaliseInput(runKind, { ...BAR, profile: 'exponential', tip_thickness_mm: 8 }))
  for (const input of [undefined, null, 'x', 5, []]) t.match(refusalOf(input).detail, [{ path: '/input', expected: 'of type object' }])
})

t.test('[JOB-2] the digest is of the content: with its defaults, whatever the order', async (t) => {
  const normal = normaliseInput(runKind, BAR)
  t.match(normal, {
    target_frequency_hz: 20_000,
    amplitude_um: 20,
    mesh: { elements_x: 8, elements_y: 40 },
    sweep: { points: 21, span_pct: 5 },
  })
  t.same(normaliseInput(runKind, normal), normal)
  const digest = digestOf(runKind, normal)
  const turned = Object.fromEntries(Object.entries({ ...normal, mesh: { elements_y: 40, elements_x: 8 } }).reverse())
  t.equal(digestOf(runKind, normaliseInput(runKind, turned)), digest)
  t.equal(digestOf(runKind, normaliseInput(runKind, { ...BAR, mesh: { elements_y: 40 }, amplitude_um: 20 })), digest)
  const others = [
    { width_mm: 25.000001 },
    { mesh: { elements_x: 9 } },
    { sweep: { points: 23 } },
    { material: 'steel-d2' },
    { profile: 'stepped', tip_thickness_mm: 25 },
  ]
  const digests = others.map((change) => digestOf(runKind, normaliseInput(runKind, { ...BAR, ...change })))
  t.equal(new Set([digest, ...digests]).size, others.length + 1)
  t.match(digest, /^[\w-]{43}$/)
})

t.test('[JOB-4] every field of the schema has its limits', async (t) => {
  for (const [name, field] of Object.entries({
    ...HornInput.properties,
    ...HornInput.properties.mesh.properties,
    ...HornInput.properties.sweep.properties,
  })) {
    if ('minimum' in field) t.ok(Number(field.minimum) < Number('maximum' in field && field.maximum), name)
    else t.ok('enum' in field || 'properties' in field || 'anyOf' in field, `${name} is a choice or has fields`)
  }
})

function refusalOf(input: unknown): RuncastError {
  try {
    normaliseInput(runKind, input)
  } catch (error) {
    if (error instanceof RuncastError) return error
  }
  throw new Error('it was not refused')
}
