import type { HornInput } from '../../src/kinds/run/input.js'
import { type Job, JobFailure, type Processor, type Results } from '../../src/worker/processor.js'
import { assemble } from './assembly.js'
import { BandedLdlt } from './banded-ldlt.js'
import { scaleToTip, tipQuality } from './faces.js'
import { modeVtk, responseCsv } from './files.js'
import { hertz } from './frequency.js'
import { hornOf } from './geometry.js'
import { findHalfWaveMode, type HalfWaveMode, type Model, modeFault } from './half-wave-mode.js'
import { harmonicSweep, magnitude, sweepFrequencies } from './harmonic-sweep.js'
import type { Iteration } from './inverse-iteration.js'
import { axialMotion } from './longitudinal.js'
import { MATERIALS } from './material.js'
import { buildMesh, coarserSizes, type Mesh, type MeshSize } from './mesh.js'
import { modalSeparation } from './modal-separation.js'
import { Pacer } from './pacer.js'
import { ProgressBar } from './progress-bar.js'
import { fitResonance } from './resonance-fit.js'
import { maxVonMises } from './stress.js'
import { type StageName, USUAL_SEPARATION_STEPS, workPlan } from './work-plan.js'

/**
 * Widest step of a sweep from which a resonance is read. The quality factor is then accurate to 1 %, also near other
 * modes.
 */
const COARSEST_STEP_PCT = 2.5

/** What all stages of one run share. */
interface Run {
  readonly input: HornInput
  readonly job: Job<'run'>
  readonly pacer: Pacer
  readonly bar: ProgressBar<StageName>
  /** Reports a metric and keeps its last value for the summary. */
  readonly measure: (name: string, value: number, unit: string) => void
  /** Iterations of all meshes so far. */
  readonly iterations: { count: number }
}

/**
 * The `horn-2d` solver: natural frequency, modal separation, harmonic response, amplitude and stress of an ultrasonic
 * horn, free at both ends, in 2-D plane stress. Limits: no fillets, so no stress concentration at a step; thick horns
 * and steps need three dimensions. Fails with `solver_error` for the reasons of `modeFault`.
 */
export const solveRun: Processor<HornInput, 'run'> = (input, job) => solveHorn(input, job, new Pacer(job.signal))

/** `solveRun` at a pace that the caller gives. */
export async function solveHorn(input: HornInput, job: Job<'run'>, pacer: Pacer): Promise<Results['run']> {
  const summary: Record<string, number> = {}
  const measure = (name: string, value: number, unit: string) => {
    summary[name] = value
    job.metric(name, value, unit)
  }
  const run: Run = { input, job, pacer, bar: new ProgressBar(job, workPlan(input)), measure, iterations: { count: 0 } }
  await pacer.pause()
  const { coarse, full } = await buildModels(run)
  for (const model of coarse) await findMode(run, model)
  const mode = await findMode(run, full)
  judgeMode(run, mode)
  const title = `half-wave mode at ${mode.frequencyHz.toFixed(1)} Hz`
  await job.artifact('mode.vtk', { data: modeVtk(full.mesh, mode.shape, title), optional: true })
  await separateMode(run, full, mode)
  await sweepMode(run, full, mode)
  await pacer.pause()
  evaluateMode(run, full, mode)
  await pacer.pause()
  return { metrics_summary: summary }
}

async function buildModels(run: Run): Promise<{ coarse: Model[]; full: Model }> {
  const size: MeshSize = [run.input.mesh.elements_x, run.input.mesh.elements_y]
  const coarse: Model[] = []
  for (const coarser of coarserSizes(size)) coarse.push(await buildModel(run, coarser))
  return { coarse, full: await buildModel(run, size) }
}

async function buildModel({ input, job, pacer, bar }: Run, size: MeshSize): Promise<Model> {
  const material = MATERIALS[input.material]
  const mesh = buildMesh(hornOf(input), size)
  const pencil = assemble(mesh, material)
  const described = `${size.join(' × ')} elements, ${pencil.order} unknowns`
  job.log(`mesh of ${described}, half-bandwidth ${pencil.halfBandwidth}`)
  bar.report('meshes', partOf(input, mesh), `Mesh of ${described}`)
  await pacer.breathe()
  return { mesh, material, pencil }
}

async function findMode({ input, job, pacer, bar, measure, iterations }: Run, model: Model): Promise<HalfWaveMode> {
  const size = `${model.mesh.elementsX} × ${model.mesh.elementsY}`
  const onIteration = ({ count, lambda, residual }: Iteration) => {
    job.log(`${size}, iteration ${count}: ${hertz(lambda).toFixed(3)} Hz, residual ${residual.toExponential(1)}`)
    iterations.count += 1
    if (Number.isFinite(residual)) job.metric('iteration_residual', residual, { unit: '1', step: iterations.count })
    const fraction = (partOf(input, model.mesh) * count) / (count + 1)
    bar.report('modes', fraction, `Half-wave mode on ${size} elements: ${hertz(lambda).toFixed(1)} Hz`)
  }
  const mode = await findHalfWaveMode(model, onIteration, pacer)
  job.log(`${size}, mode: ${(100 * mode.axialShare).toFixed(1)} % axial, nodes: ${mode.nodes}`)
  measure('natural_frequency_hz', mode.frequencyHz, 'Hz')
  await pacer.breathe()
  return mode
}

/** Throws `JobFailure` unless the mode is the half-wave resonance that was asked for. */
function judgeMode({ input, measure }: Run, mode: HalfWaveMode): void {
  const fault = modeFault(mode, input.target_frequency_hz)
  if (fault) throw new JobFailure('solver_error', fault)
  const deviation = Math.abs(mode.frequencyHz - input.target_frequency_hz) / input.target_frequency_hz
  measure('frequency_deviation_pct', 100 * deviation, '%')
}

/** Elements of a mesh as a share of those of the finest one. */
function partOf({ mesh }: HornInput, { elementsX, elementsY }: Mesh): number {
  return (elementsX * elementsY) / (mesh.elements_x * mesh.elements_y)
}

async function separateMode({ job, pacer, bar, measure }: Run, { pencil }: Model, { frequencyHz }: HalfWaveMode): Promise<void> {
  let step = 0
  const onStep = () => bar.report('separation', ++step / USUAL_SEPARATION_STEPS, `Modal separation: Sturm counts, step ${step}`)
  const { separationHz, modesBelow } = await modalSeparation(new BandedLdlt(pencil), frequencyHz, onStep, pacer)
  job.log(`nearest other mode ${separationHz.toFixed(1)} Hz away, ${modesBelow} elastic modes below`)
  measure('modal_separation_hz', separationHz, 'Hz')
}

/** Drives the horn around its mode, and reads the resonance from the sweep if that is fine enough. */
async function sweepMode(run: Run, { mesh, material, pencil }: Model, { frequencyHz }: HalfWaveMode): Promise<void> {
  const { input, job, pacer, bar, measure } = run
  const frequencies = sweepFrequencies(frequencyHz, input.sweep.points, input.sweep.span_pct)
  const responses = await harmonicSweep(
    mesh,
    pencil,
    material.lossFactor,
    frequencies,
    (response, done) => {
      job.log(`driven at ${response.frequencyHz.toFixed(1)} Hz: tip ${(1e6 * magnitude(response)).toPrecision(4)} µm/N`)
      job.metric('tip_response', 1e6 * magnitude(response), { unit: 'µm/N', step: response.frequencyHz })
      bar.report('sweep', done / frequencies.length, `Harmonic response sweep: ${done}/${frequencies.length} frequencies`)
    },
    pacer,
  )
  await job.artifact('response.csv', { data: responseCsv(responses), optional: true })
  const stepPct = (2 * input.sweep.span_pct) / (input.sweep.points - 1)
  const resonance = stepPct <= COARSEST_STEP_PCT ? fitResonance(responses) : undefined
  if (!resonance) return job.log(`sweep too coarse for a quality factor: steps of ${stepPct.toFixed(2)} %`)
  measure('sweep_peak_frequency_hz', resonance.frequencyHz, 'Hz')
  measure('quality_factor', resonance.qualityFactor, '1')
}

function evaluateMode({ input, job, bar, measure }: Run, { mesh, material }: Model, { shape }: HalfWaveMode): void {
  bar.report('results', 0, `Amplitude and stress at ${input.amplitude_um} µm`)
  const { uniformity, gain } = tipQuality(mesh, shape)
  measure('amplitude_uniformity', uniformity, '1')
  measure('horn_gain', gain, '1')
  const field = scaleToTip(mesh, shape, input.amplitude_um * 1e-6)
  const motion = axialMotion(mesh, field)
  // From the driven face to the tip, which moves forward.
  const sign = (motion.at(-1) ?? 0) < 0 ? -1 : 1
  for (const [row, u] of motion.entries()) job.metric('mode_shape', sign * 1e6 * u, { unit: 'µm', step: 1e3 * row * mesh.stepY })
  const stressPa = maxVonMises(mesh, material, field)
  measure('max_von_mises_stress_mpa', stressPa / 1e6, 'MPa')
  measure('stress_safety_factor', material.yieldPa / stressPa, '1')
  bar.report('results', 1, `Greatest stress ${(stressPa / 1e6).toFixed(1)} MPa, safety factor ${(material.yieldPa / stressPa).toFixed(2)}`)
}
