import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { HornInput, hornInputFaults } from '../../src/kinds/run/input.js'
import { hornOf, sliceThickness } from '../../workers/solver/geometry.js'
import { MATERIALS } from '../../workers/solver/material.js'
import { EXAMPLE, hornInput, runSolver } from '../support/calculix-example.js'
import { parseDeck, volumeOf } from '../support/deck.js'

const stepped = { profile: 'stepped', tip_thickness_mm: 10 }
const exponential = { profile: 'exponential', tip_thickness_mm: 6 }
const near = (found: number, wanted: number, relative: number) => Math.abs(found / wanted - 1) <= relative

/** The deck that CalculiX would get for this input. */
async function deckOf(input: unknown) {
  const { code, stdout, lines } = await runSolver(input, { args: ['--deck'] })
  if (code !== 0) throw new Error(lines.join('\n'))
  return parseDeck(stdout)
}

for (const [name, over, bricks] of [
  ['uniform', {}, 2 * 20 * 2],
  ['stepped', stepped, 2 * (20 * 2 + 10 * 2)],
  ['stepped the other way', { ...stepped, tip_thickness_mm: 40 }, 2 * (20 * 2 + 10 * 2)],
  ['exponential', exponential, 2 * 20 * 2],
] as const) {
  t.test(`the deck of a horn that is ${name} has its volume, its faces and quadratic bricks in CalculiX's order`, async (t) => {
    const input = hornInput(over)
    const deck = await deckOf(input)
    t.equal(deck.bricks.length, bricks)
    t.ok(deck.bricks.every(({ type, points }) => type === 'C3D20R' && points.length === 20 && volumeOf(points) > 0))
    const volume = 4 * deck.bricks.reduce((sum, { points }) => sum + volumeOf(points), 0)
    const wanted = sliceThickness(hornOf(input), 40).reduce((sum, thickness) => sum + 1e9 * 0.025 * (0.12671 / 40) * thickness, 0)
    t.ok(near(volume, wanted, input.profile === 'exponential' ? 5e-4 : 1e-7), `${volume} mm³, the profile has ${wanted}`)
    for (const { points } of deck.bricks) {
      // Nodes 9 to 20: the middles of the edges at the bottom, at the top, and between them.
      const middles = [...['01', '12', '23', '30'], ...['45', '56', '67', '74'], ...['04', '15', '26', '37']].map((edge) =>
        [0, 1, 2].map((axis) => [...edge].reduce((sum, corner) => sum + (points[Number(corner)]?.[axis] ?? Number.NaN) / 2, 0)),
      )
      const off = middles.flatMap((middle, at) => middle.map((value, axis) => Math.abs(value - (points[8 + at]?.[axis] ?? Number.NaN))))
      if (!off.every((value) => value < 0.03)) t.fail(`middles of edges are off by up to ${Math.max(...off)} mm`)
    }
    const extent = (set: string) =>
      [0, 1, 2].map((axis) => {
        const values = (deck.sets.get(set) ?? []).map((node) => deck.nodes.get(node)?.[axis] ?? Number.NaN)
        return [Math.min(...values), Math.max(...values)]
      })
    const tip = input.tip_thickness_mm ?? input.thickness_mm
    t.strictSame(extent('DRIVEN'), [
      [0, 12.5],
      [0, 0],
      [0, 12],
    ])
    t.strictSame(extent('TIP'), [
      [0, 12.5],
      [126.71, 126.71],
      [0, tip / 2],
    ])
    t.same(
      [extent('MIDX')[0], extent('MIDZ')[2]],
      [
        [0, 0],
        [0, 0],
      ],
    )
    t.same(deck.supports, ['MIDX, 1', 'MIDZ, 3'], 'symmetric, and free at both ends')
  })
}

t.test('no brick lies in the part that a step takes away', async (t) => {
  const { nodes } = await deckOf(hornInput(stepped))
  const outer = [...nodes.values()].filter(([, , z]) => z > 5.0001)
  t.ok(outer.length > 0 && outer.every(([, y]) => y < 126.71 / 2 + 1e-6))
})

t.test('the deck has the constants of the material table, in N, mm and t', async (t) => {
  for (const [material, { youngPa, poisson, densityKgM3 }] of Object.entries(MATERIALS)) {
    const { data } = await deckOf(hornInput({ material }))
    t.ok(near(data.get('ELASTIC')?.[0] ?? 0, youngPa / 1e6, 1e-9) && data.get('ELASTIC')?.[1] === poisson, material)
    t.ok(near(data.get('DENSITY')?.[0] ?? 0, densityKgM3 * 1e-12, 1e-9), material)
  }
})

t.test('the mesh follows the input within bounds, and the defaults are those of the schema', async (t) => {
  const sizes = [
    [2, 8],
    [8, 40],
    [32, 160],
  ].map(async ([elements_x, elements_y]) => (await deckOf(hornInput({ mesh: { elements_x, elements_y } }))).bricks.length)
  t.same(await Promise.all(sizes), [1 * 4 * 1, 2 * 20 * 2, 6 * 60 * 4])
  const sample = readFileSync(join(EXAMPLE, 'horn.json'), 'utf8')
  const [plain, whole] = await Promise.all(
    [sample, JSON.stringify(hornInput({ thickness_mm: 25 }))].map((input) => runSolver(input, { args: ['--deck'] })),
  )
  t.ok(plain && plain.stdout.length > 1000)
  t.equal(plain?.stdout, whole?.stdout)
})

/** The numbers of the schema, each by its path, with its bounds. */
function numbersOf(schema: object, path = ''): [path: string, minimum: number, maximum: number][] {
  if ('properties' in schema && typeof schema.properties === 'object') {
    return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => numbersOf(field, `${path}/${name}`))
  }
  if (!('minimum' in schema && 'maximum' in schema)) return []
  return [[path, Number(schema.minimum), Number(schema.maximum)]]
}

t.test('takes and refuses the numbers that the schema takes and refuses', async (t) => {
  const numbers = numbersOf(HornInput)
  t.equal(numbers.length, 10)
  for (const [path, minimum, maximum] of numbers) {
    const [, first = '', second = ''] = path.split('/')
    const base = hornInput({ height_mm: 600, ...(first === 'tip_thickness_mm' ? exponential : {}) })
    const groups: Record<string, object> = { mesh: base.mesh, sweep: base.sweep }
    const deckWith = (value: unknown) => {
      const group = groups[first]
      return runSolver({ ...base, [first]: group ? { ...group, [second]: value } : value }, { args: ['--deck'] })
    }
    for (const { code, stdout, lines } of await Promise.all([0.99 * minimum, 1.01 * maximum + 1, '20', true].map(deckWith))) {
      t.same([code, stdout, lines.length], [1, '', 1])
      t.match(lines[0], `bad input: ${path}: expected a`)
    }
    // Shorter than it is wide, a horn has no half wave: that is another error.
    const bounds = first === 'height_mm' ? [maximum] : [minimum, maximum]
    for (const { code, lines } of await Promise.all(bounds.map(deckWith))) t.equal(code, 0, lines.join('; '))
  }
})

t.test('says in one line what is wrong with an input', async (t) => {
  for (const [input, line] of [
    ['', /^bad input: not JSON: /],
    ['[1]', /^bad input: \/: expected an object$/],
    [hornInput({ material: 'cheese' }), /^bad input: \/material: expected one of ti-6al-4v, al-7075-t6, steel-d2$/],
    [hornInput({ profile: ['uniform'] }), /^bad input: \/profile: expected one of uniform, stepped, exponential$/],
    [hornInput({ colour: 'red' }), /^bad input: \/colour: expected to be absent \(unknown property\)$/],
    [hornInput({ mesh: 8 }), /^bad input: \/mesh: expected an object$/],
    [hornInput({ mesh: { elements_x: 8.5 } }), /^bad input: \/mesh\/elements_x: expected an integer from 2 to 32$/],
    [hornInput({ width_mm: undefined }), /^bad input: \/width_mm: expected a number from 0.1 to 1000$/],
    [hornInput({ width_mm: 300 }), /^no half-wave longitudinal mode: the horn is more than twice as wide or thick as it is long$/],
  ] as const) {
    const { code, lines } = await runSolver(input)
    t.match({ code, lines }, { code: 1, lines: [line] })
    t.equal(lines.length, 1)
  }
  for (const over of [{ profile: 'stepped' }, { tip_thickness_mm: 10 }]) {
    const [fault] = hornInputFaults(hornInput(over))
    const { code, lines } = await runSolver(hornInput(over))
    t.same([code, lines], [1, [`bad input: /tip_thickness_mm: expected ${fault?.expected}`]], 'as the hub says it')
  }
})
