import { execFile } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { hornFigure } from '../../bench/accuracy/horns.js'
import { hornInput, type PlayedHorn, placeWith, resultsOf, runSolver, startSolver } from '../support/calculix-example.js'
import { parseDeck } from '../support/deck.js'
import { eventually } from '../support/eventually.js'

/** The horns of the fixtures. */
const mesh = { elements_x: 4, elements_y: 8 }
const EXPONENTIAL = hornInput({ profile: 'exponential', height_mm: 129.76, thickness_mm: 25, tip_thickness_mm: 6.25, mesh })
const STEPPED = hornInput({ profile: 'stepped', thickness_mm: 25, tip_thickness_mm: 12.5, mesh })
const WIDE = hornInput({ width_mm: 160, thickness_mm: 25, mesh })
const near = (found: number, wanted: number, relative: number) => Math.abs(found / wanted - 1) <= relative

/** A ccx that gives the results which the real one gave for this deck; it prints what the real one prints that tells how far it is. */
const playing = (horn: PlayedHorn) => `
[ "$1" = horn ] && [ -f horn.inp ] && [ -t 1 ] || exit 9
for line in ' Determining the structure of the matrix:' ' Factoring the system of equations using the symmetric spooles solver' \\
  ' Calculating the eigenvalues and the eigenmodes' 'U^T*M*U=1.000000 for eigenmode 1' ' Job finished'; do echo "$line"; done
cp '${resultsOf(horn)}' horn.dat`

t.test('a run: the horn from real results, its course, and nothing left behind', async (t) => {
  const { env, temporary } = placeWith(t, playing('exponential'))
  const { code, lines, events } = await runSolver(EXPONENTIAL, { env })
  t.equal(code, 0, lines.join('\n'))
  t.ok(lines.includes(' Job finished') && lines.includes('mode at 19929.6 Hz: 99.2 % axial, nodes: 1'))
  const of = (type: string) => events.filter((event) => event.type === type)
  const percents = of('progress').map(({ percent }) => Number(percent))
  t.same(percents, [2, 5, 12, 20, 35, 75, 88, 90, 96])
  t.same([...new Set(of('progress').map(({ phase }) => phase))], ['meshing', 'solving', 'postprocessing'])
  const metrics = Object.fromEntries(of('metric_update').map(({ metric_name, value }) => [metric_name, Number(value)]))
  t.same(Object.fromEntries(of('metric_update').map(({ metric_name, unit }) => [metric_name, unit])), {
    natural_frequency_hz: 'Hz',
    frequency_deviation_pct: '%',
    amplitude_uniformity: '1',
    horn_gain: '1',
    max_von_mises_stress_mpa: 'MPa',
    stress_safety_factor: '1',
  })
  t.same(events.at(-1), { type: 'completed', metrics_summary: metrics })
  t.equal(metrics.natural_frequency_hz, 19929.57)
  t.ok(near(metrics.frequency_deviation_pct ?? 0, 100 * (1 - 19929.57 / 20000), 1e-9))
  // The built-in solver finds a uniformity of 0.990, a gain of 2.000 and 42.2 MPa for this horn.
  t.ok(near(metrics.amplitude_uniformity ?? 0, 0.99, 0.005), `uniformity ${metrics.amplitude_uniformity}`)
  t.ok(near(metrics.horn_gain ?? 0, 2, 0.005), `gain ${metrics.horn_gain}`)
  t.ok(near(metrics.max_von_mises_stress_mpa ?? 0, 42.2, 0.01), `${metrics.max_von_mises_stress_mpa} MPa`)
  t.ok(near((metrics.stress_safety_factor ?? 0) * (metrics.max_von_mises_stress_mpa ?? 0), 880, 1e-9))
  t.same(readdirSync(temporary), [])
  const twice = await runSolver({ ...EXPONENTIAL, amplitude_um: 40 }, { env })
  const louder = twice.events.at(-1)?.metrics_summary as typeof metrics // the event above has this shape
  t.ok(near(louder.max_von_mises_stress_mpa ?? 0, 2 * (metrics.max_von_mises_stress_mpa ?? 0), 1e-9), 'stress follows the amplitude')
})

t.test('knows the half wave by its shape: neither the first such mode nor the nearest one to the target', async (t) => {
  const { env } = placeWith(t, playing('wide'))
  const { lines, events } = await runSolver(WIDE, { env })
  t.match(events.at(-1), { type: 'completed', metrics_summary: { natural_frequency_hz: 21792.91 } }, lines.join('\n'))
  t.ok(lines.includes('mode at 14873.6 Hz: 15.1 % axial, nodes: 1'), 'one section at rest as well, and not longitudinal')
  t.ok(lines.includes('mode at 21615.7 Hz: 0.6 % axial, nodes: 2'), 'nearer to 20 kHz')
})

/** The results for the wide horn, read again: |u_y| of the tip's nodes across half the width, and the stresses of its half-wave mode. */
async function wideHalfWave() {
  const { stdout } = await runSolver(WIDE, { args: ['--deck'] })
  const { nodes, sets } = parseDeck(stdout)
  const [displacements = '', stresses = ''] =
    (readFileSync(resultsOf('wide'), 'utf8').split(/N U M B E R +6\n/)[1] ?? '').split(/N U M B E R/)[0]?.split('stresses') ?? []
  const rows = (text: string) => [...text.matchAll(/^ +\d.*/gm)].map(([row]) => row.trim().split(/ +/).map(Number))
  const motion = new Map(rows(displacements).map(([node = 0, , y = Number.NaN]) => [node, Math.abs(y)]))
  const tip = (sets.get('TIP') ?? []).map((node) => ({ at: nodes.get(node) ?? [0, 0, 0], u: motion.get(node) ?? Number.NaN }))
  const line = (z: number) => tip.filter(({ at }) => at[2] === z).toSorted((a, b) => a.at[0] - b.at[0])
  return { lines: [line(0), line(12.5)].map((nodes) => nodes.map(({ u }) => u)), stresses: rows(stresses).map(([, , ...stress]) => stress) }
}

t.test('amplitude and stress of a horn whose tip is uneven and whose stress has six components', async (t) => {
  const { events } = await runSolver(WIDE, placeWith(t, playing('wide')))
  const found = { amplitude_uniformity: 0, max_von_mises_stress_mpa: 0, ...(events.at(-1)?.metrics_summary ?? {}) }
  const { lines, stresses } = await wideHalfWave()
  t.same([lines.map(({ length }) => length), stresses.length], [[5, 5], 64])
  // Simpson's rule across the width; over the thickness a parabola that is even: two parts of the middle line, one of the edge.
  const simpson = ([a = 0, b = 0, c = 0, d = 0, e = 0]: number[]) => (a + 4 * b + 2 * c + 4 * d + e) / 12
  const [middle = 0, edge = 0] = lines.map(simpson)
  const mean = (2 * middle + edge) / 3
  t.ok(near(found.amplitude_uniformity, Math.min(...lines.flat()) / mean, 1e-3), `uniformity ${found.amplitude_uniformity}`)
  // The von Mises stress by the deviator.
  const equivalent = stresses.map(([x = 0, y = 0, z = 0, ...shear]) => {
    const deviator = [x, y, z].map((value) => value - (x + y + z) / 3)
    return Math.sqrt(1.5 * deviator.reduce((sum, s) => sum + s * s, 0) + 3 * shear.reduce((sum, s) => sum + s * s, 0))
  })
  t.ok(near(found.max_von_mises_stress_mpa, (0.02 / mean) * Math.max(...equivalent), 1e-3), `${found.max_von_mises_stress_mpa} MPa`)
})

t.test('reports no stress for a step: at its sharp corner there is no such figure', async (t) => {
  const { lines, events } = await runSolver(STEPPED, placeWith(t, playing('stepped')))
  const { metrics_summary } = { metrics_summary: {}, ...events.at(-1) }
  t.same(Object.keys(metrics_summary ?? {}), ['natural_frequency_hz', 'frequency_deviation_pct', 'amplitude_uniformity', 'horn_gain'])
  t.match(lines.at(-1), /^no stress: /)
})

/** The results for the wide horn with its half-wave mode, the sixth, replaced by the shape of the fourth. */
function withoutHalfWave(): string {
  const blocks = readFileSync(resultsOf('wide'), 'utf8').split(/(?=^ +E I G E N V A L U E +N U M B E R)/m)
  return [...blocks.slice(0, 6), blocks[4]?.replace(/(N U M B E R +)4/, '$16'), ...blocks.slice(7)].join('')
}

const noDensity = `echo ' *ERROR in calinput: no density was assigned'; echo '        to any material'; echo; exit`
const failures: [what: string, ccx: string, line: string][] = [
  ['fails', `${noDensity} 201`, 'CalculiX failed (exit code 201): *ERROR in calinput: no density was assigned to any material'],
  [
    'fails with exit code 0',
    `${noDensity} 0`,
    'CalculiX failed (exit code 0): *ERROR in calinput: no density was assigned to any material',
  ],
  ['fails silently', 'exit 3', 'CalculiX failed (exit code 3): no message'],
  ['crashes', 'kill -SEGV $$', 'CalculiX failed (SIGSEGV): no message'],
  ['writes nothing', 'exit 0', 'CalculiX wrote no results'],
  ['writes an empty file', ': > horn.dat', 'CalculiX wrote no complete results'],
  ...[80_000, 92_950, 93_000].map((bytes): [string, string, string] => [
    `writes no more than ${bytes} bytes`,
    `head -c ${bytes} '${resultsOf('wide')}' > horn.dat`,
    'CalculiX wrote no complete results',
  ]),
  ['writes all but one stress', `sed '$d' '${resultsOf('wide')}' > horn.dat`, 'CalculiX wrote no complete results'],
  ['writes the results of another mesh', `cp '${resultsOf('exponential')}' horn.dat`, 'CalculiX wrote no complete results'],
  ['finds no half wave', 'cp "$TMPDIR/../no-half-wave.dat" horn.dat', 'no half-wave longitudinal mode among the first 8 symmetric ones'],
]
for (const [what, ccx, line] of failures) {
  t.test(`a CalculiX that ${what}: the last line says so`, async (t) => {
    const { env, temporary } = placeWith(t, ccx)
    writeFileSync(join(temporary, '../no-half-wave.dat'), withoutHalfWave())
    const { code, lines, events } = await runSolver(WIDE, { env })
    t.same([code, lines.at(-1)], [1, line])
    t.notOk(events.some(({ type }) => type === 'completed'))
    t.same(readdirSync(temporary), [])
  })
}

t.test('says how to get a CalculiX where there is none', async (t) => {
  const { env } = placeWith(t)
  const { code, lines } = await runSolver(WIDE, { env })
  t.same([code, lines], [1, ['CalculiX is not installed: there is no ccx on the PATH; on Debian and Ubuntu: apt-get install calculix-ccx']])
})

/** Runs the accuracy check's call of the example for a horn, with this ccx or none, in a process of its own. */
function solveAside(t: Test, input: unknown, ccx?: string) {
  const module = new URL('../../bench/accuracy/example-solver.js', import.meta.url)
  const code = `import { solveWithCalculix } from '${module}'; console.log(JSON.stringify(await solveWithCalculix(${JSON.stringify(input)})))`
  return promisify(execFile)(process.execPath, ['--input-type=module', '--eval', code], { env: placeWith(t, ccx).env, timeout: 60_000 })
}

t.test('the accuracy check runs the example as its configuration says, and fails with what installs CalculiX', async (t) => {
  const { stdout } = await solveAside(t, EXPONENTIAL, playing('exponential'))
  t.match(JSON.parse(stdout), { natural_frequency_hz: 19929.57 })
  await t.rejects(solveAside(t, EXPONENTIAL, 'exit 3'), /Error: solver.py: CalculiX failed \(exit code 3\)/)
  await t.rejects(solveAside(t, EXPONENTIAL), /Error: CalculiX is not installed: .*; or run "node scripts\/bootstrap.mjs --calculix"/)
})

t.test('a horn of the accuracy check holds within 1 %, and one that is not plane only beyond', async (t) => {
  const holds = (hz: number, isPlane: boolean) => hornFigure('horn', hz, 20_000, isPlane).holds
  const around = [19_790, 19_810, 20_000, 20_190, 20_210, Number.NaN]
  t.same(
    around.map((hz) => holds(hz, true)),
    [false, true, true, true, false, false],
  )
  t.same(
    around.map((hz) => holds(hz, false)),
    [false, false, false, false, true, false],
  )
  t.equal(hornFigure('horn', 20_100, 20_000, true).figure, '20100 Hz, 20000 Hz: +0.50 %')
})

/** Whether a process is there and no zombie. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

/** Starts a run whose ccx says its process id, and that it factorises, and does not end by itself. */
async function hangingRun(t: Test, end = 'exec sleep 600') {
  const { env, temporary } = placeWith(t, `echo "pid $$"; echo ' Factoring the system of equations'; ${end}`)
  const running = startSolver(JSON.stringify(WIDE), { env })
  const ccx = await eventually(() => Number(/^pid (\d+)$/m.exec(running.stderr)?.[1]))
  t.teardown(() => isRunning(ccx) && process.kill(ccx, 'SIGKILL'))
  await eventually(() => running.events.at(-1)?.percent === 20) // told while it runs
  t.ok(isRunning(ccx))
  t.equal(readdirSync(temporary).length, 1)
  return { running, ccx, temporary }
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`${signal} to the solver alone ends CalculiX too, and its folder is gone`, async (t) => {
    const { running, ccx, temporary } = await hangingRun(t, "trap 'echo ended in order; exit' TERM; while :; do sleep 0.05; done")
    process.kill(running.pid, signal)
    t.equal(await running.ended, signal === 'SIGTERM' ? 143 : 130)
    t.notOk(isRunning(ccx))
    t.match(running.stderr, /^ended in order$/m, 'it was asked before it is killed')
    t.same(readdirSync(temporary), [])
    t.equal(running.stderr.trimEnd().split('\n').at(-1), `stopped by ${signal}`)
    t.notOk(running.events.some(({ type }) => type === 'completed'))
  })
}

t.test('a CalculiX that is deaf to SIGTERM is killed', async (t) => {
  const { running, ccx, temporary } = await hangingRun(t, "trap '' TERM; exec sleep 600")
  process.kill(running.pid, 'SIGTERM')
  t.equal(await running.ended, 143)
  t.notOk(isRunning(ccx))
  t.same(readdirSync(temporary), [])
})

t.test('SIGTERM to the group ends both with the same order, SIGKILL to the group ends both at once', async (t) => {
  for (const [signal, code] of [
    ['SIGTERM', 143],
    ['SIGKILL', 'SIGKILL'],
  ] as const) {
    const { running, ccx } = await hangingRun(t)
    process.kill(-running.pid, signal)
    t.equal(await running.ended, code)
    await eventually(() => !isRunning(ccx))
  }
})
