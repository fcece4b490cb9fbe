import t from 'tap'
import type { HornInput } from '../../src/kinds/run/input.js'
import { type Job, JobFailure } from '../../src/worker/processor.js'
import { assemble } from '../../workers/solver/assembly.js'
import { BandedLdlt } from '../../workers/solver/banded-ldlt.js'
import { hornOf } from '../../workers/solver/geometry.js'
import { harmonicSweep, magnitude, sweepFrequencies } from '../../workers/solver/harmonic-sweep.js'
import { solveHorn, solveRun } from '../../workers/solver/horn-2d.js'
import { barSpeed, MATERIALS } from '../../workers/solver/material.js'
import { buildMesh } from '../../workers/solver/mesh.js'
import { modesBelow } from '../../workers/solver/modal-separation.js'
import { Pacer } from '../../workers/solver/pacer.js'

const titanium = MATERIALS['ti-6al-4v']
const horn = (over: Partial<HornInput> = {}): HornInput => ({
  material: 'ti-6al-4v',
  profile: 'uniform',
  width_mm: 25,
  height_mm: 126.71,
  thickness_mm: 25,
  target_frequency_hz: 20_000,
  amplitude_um: 20,
  mesh: { elements_x: 8, elements_y: 40 },
  sweep: { points: 21, span_pct: 5 },
  ...over,
})

/** A job that keeps what it is told. */
function recorder(signal: AbortSignal = new AbortController().signal) {
  const progress: Parameters<Job<'run'>['progress']>[0][] = []
  const metrics: { name: string; value: number; unit: string }[] = []
  const curves = new Map<string, [x: number, y: number][]>()
  const lines: string[] = []
  const files = new Map<string, string>()
  const job: Job<'run'> = {
    id: 'run-1',
    signal,
    killed: new AbortController().signal,
    artifact: async (name, content) => void files.set(name, 'data' in content ? String(content.data) : ''),
    folder: async () => '',
    flush: async () => {},
    alive: () => {},
    progress: async (at) => void progress.push(at),
    metric: async (name, value, options = '') => {
      if (typeof options === 'string') return void metrics.push({ name, value, unit: options })
      curves.set(name, [...(curves.get(name) ?? []), [options.step ?? Number.NaN, value]])
    },
    log: (line) => void lines.push(String(line)),
  }
  return {
    job,
    progress,
    metrics,
    curves,
    lines,
    files,
    named: (wanted: string) => metrics.filter(({ name }) => name === wanted).map(({ value }) => value),
  }
}

/** The metrics of a whole run, each a number or NaN where it is absent. */
async function solve(over: Partial<HornInput> = {}) {
  const { metrics_summary: of } = await solveRun(horn(over), recorder().job)
  const read = (name: string) => of[name] ?? Number.NaN
  return {
    hz: read('natural_frequency_hz'),
    uniformity: read('amplitude_uniformity'),
    gain: read('horn_gain'),
    mpa: read('max_von_mises_stress_mpa'),
    safety: read('stress_safety_factor'),
    separationHz: read('modal_separation_hz'),
    deviation: read('frequency_deviation_pct'),
    peakHz: read('sweep_peak_frequency_hz'),
    quality: read('quality_factor'),
  }
}
const within = (found: number, wanted: number, tolerance: number) => Math.abs(found - wanted) <= tolerance
const rayleighLove = (c: number, nu: number, widthM: number, lengthM: number) =>
  c / (2 * lengthM) / Math.sqrt(1 + (nu * Math.PI * widthM) ** 2 / (12 * lengthM ** 2))

const narrow = { profile: 'uniform', width_mm: 25 } as const
const rows: [string, Partial<HornInput>, { hz: number; uniformity: number; gain: number; mpa: number }][] = [
  ['Ti uniform 25 × 126.71', narrow, { hz: 19956, uniformity: 0.99, gain: 1, mpa: 56.9 }],
  ['Al uniform 25 × 126.28', { ...narrow, material: 'al-7075-t6', height_mm: 126.28 }, { hz: 19958.5, uniformity: 0.99, gain: 1, mpa: 36 }],
  [
    'D2 uniform 25 × 130.56',
    { ...narrow, material: 'steel-d2', height_mm: 130.56 },
    { hz: 19966.5, uniformity: 0.991, gain: 1, mpa: 101.8 },
  ],
  ['Ti blade 40', { width_mm: 40 }, { hz: 19887, uniformity: 0.97, gain: 1, mpa: 57.7 }],
  ['Ti blade 60', { width_mm: 60 }, { hz: 19718, uniformity: 0.916, gain: 1, mpa: 60.2 }],
  ['Ti blade 80', { width_mm: 80 }, { hz: 19389, uniformity: 0.798, gain: 1, mpa: 66.3 }],
  ['Ti blade 100', { width_mm: 100, mesh: { elements_x: 16, elements_y: 80 } }, { hz: 18777, uniformity: 0.542, gain: 1, mpa: 81.5 }],
  ['Ti stepped 2:1', { profile: 'stepped', tip_thickness_mm: 12.5 }, { hz: 19967.5, uniformity: 0.989, gain: 2, mpa: 56.2 }],
  [
    'Ti exponential, amplitude ratio 2',
    { profile: 'exponential', height_mm: 129.76, tip_thickness_mm: 6.25 },
    { hz: 19954, uniformity: 0.99, gain: 2, mpa: 42.2 },
  ],
]
for (const [name, input, wanted] of rows) {
  t.test(`figures of ${name} at 20 µm`, async (t) => {
    const found = await solve(input)
    t.ok(within(found.hz, wanted.hz, 1), `${found.hz} Hz`)
    t.ok(within(found.uniformity, wanted.uniformity, 0.002), `uniformity ${found.uniformity}`)
    t.ok(within(found.gain, wanted.gain, 1e-3), `gain ${found.gain}`)
    t.ok(within(found.mpa, wanted.mpa, 0.1), `${found.mpa} MPa`)
    t.ok(within(found.safety, MATERIALS[input.material ?? 'ti-6al-4v'].yieldPa / 1e6 / found.mpa, 1e-9))
    t.ok(within(found.deviation, Math.abs(found.hz / 200 - 100), 1e-9))
    t.ok(within(found.peakHz, found.hz, 0.01), `driven, it peaks at ${found.peakHz} Hz`)
    t.ok(within(found.quality * MATERIALS[input.material ?? 'ti-6al-4v'].lossFactor, 1, 1e-3), `quality factor ${found.quality}`)
  })
}

t.test('uniform bars agree with Rayleigh–Love, and fall below it as they grow wide', async (t) => {
  for (const material of ['ti-6al-4v', 'al-7075-t6', 'steel-d2'] as const) {
    const { hz } = await solve({ material, mesh: { elements_x: 16, elements_y: 80 }, sweep: { points: 3, span_pct: 1 } })
    const love = rayleighLove(barSpeed(MATERIALS[material]), MATERIALS[material].poisson, 0.025, 0.12671)
    t.ok(within(hz / love, 1, 2e-4), `${material}: ${hz} Hz, Rayleigh–Love ${love} Hz`)
  }
  let gap = 0
  for (const width_mm of [25, 40, 60, 80, 100]) {
    const { hz } = await solve({ width_mm, sweep: { points: 3, span_pct: 1 } })
    const wider = rayleighLove(barSpeed(titanium), titanium.poisson, width_mm / 1000, 0.12671) - hz
    t.ok(wider > gap, `${width_mm} mm: ${wider} Hz below`)
    gap = wider
  }
})

t.test('thin bars have the stress ρcωa, and gain and stress follow the amplitude', async (t) => {
  const thin = await solve({ width_mm: 4 })
  const wanted = titanium.densityKgM3 * barSpeed(titanium) * 2 * Math.PI * thin.hz * 20e-6
  t.ok(within((thin.mpa * 1e6) / wanted, 1, 1e-3), `${thin.mpa} MPa`)
  const twice = await solve({ width_mm: 4, amplitude_um: 40 })
  t.ok(within(twice.mpa / thin.mpa, 2, 1e-12))
  t.equal(twice.gain, thin.gain)
  for (const tip_thickness_mm of [20, 10, 5]) {
    const stepped = await solve({ profile: 'stepped', width_mm: 4, tip_thickness_mm })
    t.ok(within((stepped.gain * tip_thickness_mm) / 25, 1, 1e-3), `stepped gain S1/S2 = ${25 / tip_thickness_mm}`)
  }
})

t.test('the frequency converges over the meshes from below, with the square of their fineness', async (t) => {
  const { job, named } = recorder()
  await solveRun(horn({ mesh: { elements_x: 16, elements_y: 80 } }), job)
  const [quarter = 0, half = 0, full = 0, ...more] = named('natural_frequency_hz')
  t.same(more, [])
  t.ok(within(quarter, 19939, 0.5) && within(half, 19956, 0.5) && within(full, 19960, 0.5), `${quarter} ${half} ${full}`)
  t.ok(quarter < half && half < full && full < rayleighLove(barSpeed(titanium), titanium.poisson, 0.025, 0.12671))
  t.ok(within((half - quarter) / (full - half), 4, 0.1))
})

t.test('the modal separation is where the Sturm count changes', async (t) => {
  const { hz, separationHz } = await solve()
  const ldlt = new BandedLdlt(assemble(buildMesh(hornOf(horn()), [8, 40]), titanium))
  const pacer = new Pacer(new AbortController().signal)
  const modesWithin = async (gap: number) => (await modesBelow(ldlt, hz + gap, pacer)) - (await modesBelow(ldlt, hz - gap, pacer))
  t.equal(await modesWithin(0.995 * separationHz), 1)
  t.equal(await modesWithin(1.005 * separationHz), 2)
})

t.test('the swept response has its half-power width at η times the natural frequency', async (t) => {
  const mesh = buildMesh(hornOf(horn()), [4, 20])
  const { hz } = await solve({ mesh: { elements_x: 4, elements_y: 20 } })
  const frequencies = sweepFrequencies(hz, 401, 0.3)
  const pacer = new Pacer(new AbortController().signal)
  const sweep = await harmonicSweep(mesh, assemble(mesh, titanium), titanium.lossFactor, frequencies, () => {}, pacer)
  const peak = sweep.reduce((best, response) => (magnitude(response) > magnitude(best) ? response : best))
  const strong = sweep.filter((response) => magnitude(response) >= magnitude(peak) / Math.SQRT2)
  const width = (strong.at(-1)?.frequencyHz ?? 0) - (strong[0]?.frequencyHz ?? 0)
  t.ok(within(peak.frequencyHz, hz, 0.4), `peak at ${peak.frequencyHz} Hz`)
  t.ok(within(width / hz, titanium.lossFactor, 3e-5), `half-power width ${width} Hz`)
})

t.test('a run tells its course: phases in order, a bar that never falls, metrics on the way, and the same in the summary', async (t) => {
  const { job, progress, metrics, curves, lines } = recorder()
  const { metrics_summary: summary } = await solveRun(horn(), job)
  const percents = progress.map(({ percent }) => percent)
  t.same(
    percents,
    percents.toSorted((a, b) => a - b),
  )
  t.ok(percents.every((percent) => percent >= 0 && percent < 100))
  t.same([...new Set(progress.map(({ phase }) => phase))], ['meshing', 'solving', 'postprocessing'])
  t.ok(progress.some(({ message }) => message === 'Harmonic response sweep: 9/21 frequencies'))
  t.same(Object.fromEntries(metrics.map(({ name, value }) => [name, value])), summary)
  t.ok(metrics.every(({ name, value }) => /^[a-z][a-z0-9_]*$/.test(name) && Number.isFinite(value)))
  t.same(Object.fromEntries(metrics.map(({ name, unit }) => [name, unit])), {
    natural_frequency_hz: 'Hz',
    frequency_deviation_pct: '%',
    modal_separation_hz: 'Hz',
    sweep_peak_frequency_hz: 'Hz',
    quality_factor: '1',
    amplitude_uniformity: '1',
    horn_gain: '1',
    max_von_mises_stress_mpa: 'MPa',
    stress_safety_factor: '1',
  })
  const { iteration_residual: residuals = [], tip_response: response = [], mode_shape: shape = [] } = Object.fromEntries(curves)
  t.ok((residuals.at(-1)?.[1] ?? 1) <= 1e-6, 'the iteration converges')
  t.equal(response.length, 21)
  t.ok(
    within(response.toSorted(([, a], [, b]) => b - a)[0]?.[0] ?? 0, summary.natural_frequency_hz ?? 0, 50),
    'the response peaks at the mode',
  )
  t.equal(shape.length, 41)
  t.ok(within(shape.at(-1)?.[1] ?? 0, 20, 0.1), 'the tip moves by the amplitude')
  t.ok((shape[0]?.[1] ?? 0) < 0, 'against the driven face')
  t.ok(lines.includes('mesh of 8 × 40 elements, 738 unknowns, half-bandwidth 21'))
  t.ok(lines.some((line) => /^8 × 40, iteration 2: 19955\.\d+ Hz, residual /.test(line)))
})

t.test('a sweep in steps of more than 2.5 % gives no quality factor', async (t) => {
  const { job, lines } = recorder()
  const { metrics_summary: summary } = await solveRun(horn({ sweep: { points: 3, span_pct: 20 } }), job)
  t.notOk('quality_factor' in summary)
  t.ok(lines.some((line) => line === 'sweep too coarse for a quality factor: steps of 20.00 %'))
})

const failing: [string, Partial<HornInput>, RegExp][] = [
  [
    'too short for its target',
    { height_mm: 60 },
    /^Solver failed to converge after \d+ iterations: the mode found at 41798 Hz is out of reach/,
  ],
  ['too long for its target', { height_mm: 200 }, /out of reach of the target of 20000 Hz$/],
  [
    'wider than long',
    { width_mm: 160 },
    /^Solver failed to converge after \d+ iterations: .* no half-wave longitudinal mode \(1 % axial, /,
  ],
  [
    'too slender for its mesh',
    { width_mm: 0.1, height_mm: 1000, target_frequency_hz: 2500, mesh: { elements_x: 32, elements_y: 60 } },
    /^Solver failed to converge after 40 iterations: the residual stays at \d/,
  ],
]
for (const [name, input, message] of failing) {
  t.test(`a horn ${name} is a solver error`, async (t) => {
    const { job, metrics } = recorder()
    const failure = await solveRun(horn(input), job).catch((reason: unknown) => reason)
    t.ok(failure instanceof JobFailure)
    t.match(failure, { code: 'solver_error', message })
    t.same([...new Set(metrics.map((metric) => metric.name))], ['natural_frequency_hz'], 'nothing is derived from it')
  })
}

t.test('an aborted run ends at its next yield, with the reason of the signal', async (t) => {
  const reason = new Error('cancelled')
  for (const last of [1, 2, 40, 400, 1200]) {
    const controller = new AbortController()
    const { job, progress } = recorder(controller.signal)
    let turns = 0
    let reported = 0
    const turn = async () => {
      if (++turns !== last) return
      reported = progress.length
      controller.abort(reason)
    }
    const run = solveHorn(horn(), job, new Pacer(job.signal, { budgetMs: 0, now: () => 0, turn }))
    t.equal(await run.catch((error: unknown) => error), reason)
    t.same([turns, progress.length], [last, reported], `yield ${last} was the last thing it did`)
  }
})

t.test('a timer gets its turn while the widest mesh is solved, and can cancel it', async (t) => {
  const controller = new AbortController()
  const { job, named } = recorder(controller.signal)
  let ticks = 0
  const ticking = setInterval(() => {
    if (++ticks === 10) controller.abort(new Error('cancelled'))
  }, 1)
  const input = horn({ mesh: { elements_x: 32, elements_y: 160 }, sweep: { points: 401, span_pct: 20 } })
  await t.rejects(solveRun(input, job), { message: 'cancelled' })
  clearInterval(ticking)
  t.equal(ticks, 10)
  t.same(named('stress_safety_factor'), [])
})

t.test('the largest mesh is solved', async (t) => {
  const found = await solve({ mesh: { elements_x: 32, elements_y: 160 }, sweep: { points: 3, span_pct: 1 } })
  t.ok(within(found.hz, 19961, 0.5), `${found.hz} Hz`)
  t.ok(within(found.mpa, 56.9, 0.1))
  t.ok(within(found.quality, 1 / titanium.lossFactor, 1))
})

t.test('[ART-4] a run stores its response as CSV and its mode as VTK', async (t) => {
  const { job, files, named } = recorder()
  await solveRun(horn({ mesh: { elements_x: 4, elements_y: 16 } }), job)
  t.same([...files.keys()], ['mode.vtk', 'response.csv'])
  const [head = '', ...rows] = files.get('response.csv')?.trimEnd().split('\n') ?? []
  t.equal(head, 'frequency_hz,re_m_per_n,im_m_per_n,magnitude_m_per_n')
  t.equal(rows.length, 21)
  const peak = rows.map((row) => row.split(',').map(Number)).reduce((best, row) => ((row[3] ?? 0) > (best[3] ?? 0) ? row : best))
  const [natural = 0] = named('natural_frequency_hz').slice(-1)
  t.ok(Math.abs((peak[0] ?? 0) / natural - 1) < 0.006, `peak at ${peak[0]} Hz`)
  const lines = files.get('mode.vtk')?.trimEnd().split('\n') ?? []
  const nodes = 5 * 17
  t.same(lines.slice(2, 6), ['ASCII', 'DATASET STRUCTURED_GRID', 'DIMENSIONS 5 17 1', `POINTS ${nodes} double`])
  t.equal(lines.length, 8 + 2 * nodes)
  t.same(lines[6], '0 0 0')
  const [x = 0, y = 0] = lines[5 + nodes]?.split(' ').map(Number) ?? []
  t.ok(Math.abs(x - 0.025) < 1e-12 && Math.abs(y - 0.12671) < 1e-12, 'the last point is the corner of the tip')
  const axial = (line: string | undefined) => Number(line?.split(' ')[1])
  t.ok(axial(lines[8 + nodes]) * axial(lines.at(-1)) < 0, 'both ends of a half wave move against each other')
})
