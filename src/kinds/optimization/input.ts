import Type, { type Static, type TObject } from 'typebox'
import { Checker } from '../../protocol/checker.js'
import { bounded } from '../../protocol/defaults.js'
import { ABSENT, UNKNOWN } from '../../protocol/faults.js'
import { BUILT_IN_SOLVER, HornInput, hornInputFaults } from '../run/input.js'

const MAX_EVALUATIONS = 5000
/** Limits memory: each run stores its whole input. */
const MAX_INPUT_CHARS = 32 * 1024 * 1024

const Metric = Type.String({ pattern: '^[a-z][a-z0-9_]{0,63}$', description: 'a metric in `metrics_summary` of a run' })

const Variable = Type.Object(
  {
    name: Type.String({
      pattern: '^[a-z][a-z0-9_]{0,63}(\\.[a-z][a-z0-9_]{0,63}){0,4}$',
      description: 'a field of the run input; dots separate nested fields',
    }),
    min: Type.Number(),
    max: Type.Number(),
    step: Type.Optional(Type.Number({ exclusiveMinimum: 0, description: 'restricts values to min + k·step; default: any number' })),
  },
  { additionalProperties: false },
)
type Variable = Static<typeof Variable>
const Objective = Type.Object({ metric: Metric, direction: Type.Enum(['minimize', 'maximize']) }, { additionalProperties: false })
const Constraint = Type.Object(
  {
    metric: Metric,
    operator: Type.Enum(['<=', '>=', 'within_percent']),
    value: Type.Number(),
    tolerance_pct: Type.Optional(
      Type.Number({ minimum: 0, description: 'for within_percent: maximum distance from value, in % of value' }),
    ),
  },
  { additionalProperties: false },
)

/** Input of an optimization. Each point is evaluated as a run of `solver`. */
export const OptimizationInput = Type.Object(
  {
    solver: Type.String({ pattern: '^[a-z][a-z0-9-]{0,31}$', default: BUILT_IN_SOLVER, description: 'solver of the runs' }),
    base: Type.Object({}, { additionalProperties: true, default: {}, description: 'the fixed part of each run input' }),
    variables: Type.Array(Variable, {
      minItems: 1,
      maxItems: 32,
      description: 'numeric fields of the run input, as `width_mm` or `mesh.elements_x`; with `step` only min + k·step',
    }),
    objectives: Type.Array(Objective, {
      minItems: 1,
      maxItems: 4,
      description: 'metrics of the runs; `direction` is `minimize` or `maximize`',
    }),
    constraints: Type.Array(Constraint, {
      maxItems: 16,
      default: [],
      description: '`operator` is `<=`, `>=`, or `within_percent`, which needs `tolerance_pct`',
    }),
    strategy: Type.Enum(['nsga2', 'sweep', 'random'], {
      default: 'nsga2',
      description: 'constrained NSGA-II (Deb et al. 2002), a Latin hypercube, or random points',
    }),
    population: Type.Integer({ minimum: 1, maximum: 200, default: 20, description: 'points per generation' }),
    generations: Type.Integer({ minimum: 1, maximum: MAX_EVALUATIONS, default: 10 }),
    seed: Type.Integer({ minimum: 0, maximum: 0xffff_ffff, default: 1, description: 'the same seed gives the same front' }),
    parallel: Type.Integer({
      minimum: 1,
      maximum: 64,
      default: 16,
      description: 'maximum number of open runs; free workers limit how many are computed at a time',
    }),
  },
  {
    additionalProperties: false,
    examples: [
      {
        base: { material: 'ti-6al-4v', profile: 'uniform', width_mm: 25, thickness_mm: 25 },
        variables: [{ name: 'height_mm', min: 120, max: 135 }],
        objectives: [{ metric: 'frequency_deviation_pct', direction: 'minimize' }],
        population: 4,
        generations: 2,
      },
    ],
  },
)
export type OptimizationInput = Static<typeof OptimizationInput>

type Fault = { readonly path: string; readonly expected: string }

/** Faults that the schema cannot express. `solvers`: names of the configured solvers. */
export function optimizationInputFaults(input: OptimizationInput, solvers: readonly string[]): Fault[] {
  const { population, generations, solver } = input
  const faults = [...input.variables.flatMap(variableFaults), ...input.constraints.flatMap(constraintFaults)]
  faults.push(
    ...duplicates(
      'variables',
      input.variables.map(({ name }) => name),
    ),
    ...duplicates(
      'objectives',
      input.objectives.map(({ metric }) => metric),
    ),
  )
  if (population * generations > MAX_EVALUATIONS)
    faults.push({ path: '/input/generations', expected: `population × generations to be at most ${MAX_EVALUATIONS}` })
  if (JSON.stringify(input.base).length * population * generations > MAX_INPUT_CHARS)
    faults.push({ path: '/input/base', expected: `its length × the number of points to be at most ${MAX_INPUT_CHARS} characters` })
  if (solver === BUILT_IN_SOLVER) return faults.length > 0 ? faults : hornFaults(input)
  if (!solvers.includes(solver)) faults.push({ path: '/input/solver', expected: `one of ${[BUILT_IN_SOLVER, ...solvers].join(', ')}` })
  return faults
}

function variableFaults({ name, min, max, step }: Variable, i: number, all: readonly Variable[]): Fault[] {
  const path = `/input/variables/${i}`
  if (min >= max) return [{ path: `${path}/max`, expected: `> ${min}` }]
  if (!Number.isFinite(max - min)) return [{ path: `${path}/max`, expected: 'a finite range max - min' }]
  if (step !== undefined && !((max - min) / step < 2 ** 53)) return [{ path: `${path}/step`, expected: 'a step above (max - min) / 2^53' }]
  const whole = all.find((other) => name.startsWith(`${other.name}.`))
  return whole ? [{ path: `${path}/name`, expected: `a field outside ${whole.name}, which is a variable itself` }] : []
}

function constraintFaults({ operator, value, tolerance_pct }: Static<typeof Constraint>, i: number): Fault[] {
  const path = `/input/constraints/${i}`
  if (operator !== 'within_percent')
    return tolerance_pct === undefined
      ? []
      : [{ path: `${path}/tolerance_pct`, expected: `${ABSENT}: only within_percent has a tolerance` }]
  const faults = tolerance_pct === undefined ? [{ path: `${path}/tolerance_pct`, expected: 'to be present' }] : []
  return value === 0
    ? [...faults, { path: `${path}/value`, expected: 'a value other than 0, because tolerance_pct is relative to it' }]
    : faults
}

function duplicates(field: string, names: readonly string[]): Fault[] {
  return names.flatMap((name, i) =>
    names.indexOf(name) < i ? [{ path: `/input/${field}/${i}`, expected: `a unique name, not ${name} again` }] : [],
  )
}

const horn = new Checker(HornInput)

/** Checks the run input of the built-in solver at both ends of all variables. */
function hornFaults({ base, variables }: OptimizationInput): Fault[] {
  const broken = variables.flatMap((variable, i) => wholeFaults(variable, i))
  if (broken.length > 0) return broken
  const fixed = bounded(HornInput, base)
  for (const end of ['min', 'max'] as const) {
    const values = variables.map((variable) => [variable.name, variable[end]] as const)
    const input = horn.fill(runInputOf(fixed, values))
    const found = horn.check(input) ? hornInputFaults(input) : horn.faults(input, '/input')
    if (found.length > 0) return found.map(({ path, expected }) => faultOf(path, expected, variables, end))
  }
  return []
}

/** An integer field needs an integer minimum and an integer step. */
function wholeFaults({ name, min, step }: Variable, i: number): Fault[] {
  const field = name.split('.').reduce<unknown>((at, part) => Reflect.get(Reflect.get(Object(at), 'properties') ?? {}, part), HornInput)
  if (Reflect.get(Object(field), 'type') !== 'integer') return []
  const faults = Number.isInteger(min) ? [] : [{ path: `/input/variables/${i}/min`, expected: 'of type integer' }]
  return step !== undefined && Number.isInteger(step)
    ? faults
    : [...faults, { path: `/input/variables/${i}/step`, expected: 'of type integer, as the field' }]
}

/** Maps a fault of the run input to the variable that sets the field, or to `base`. */
function faultOf(path: string, expected: string, variables: OptimizationInput['variables'], end: 'min' | 'max'): Fault {
  const i = variables.findIndex(({ name }) => path === `/input/${name.replaceAll('.', '/')}`)
  if (i < 0) return { path: path.replace('/input', '/input/base'), expected }
  if (expected === UNKNOWN) return { path: `/input/variables/${i}/name`, expected: `one of ${numbersOf(HornInput).join(', ')}` }
  return { path: `/input/variables/${i}/${expected.startsWith(ABSENT) ? 'name' : end}`, expected }
}

/** The names of the numeric fields of a schema; those of nested fields have dots. */
function numbersOf(schema: TObject, base = ''): string[] {
  return Object.entries(schema.properties).flatMap(([name, field]) =>
    Type.IsObject(field) ? numbersOf(field, `${base}${name}.`) : Type.IsNumber(field) || Type.IsInteger(field) ? [base + name] : [],
  )
}

/** A copy of `base` with these fields set. */
export function runInputOf(base: object, values: Iterable<readonly [name: string, value: number]>): Record<string, unknown> {
  const input: Record<string, unknown> = { ...base }
  for (const [name, value] of values) {
    const path = name.split('.')
    const last = path.pop() ?? name
    let at = input
    for (const part of path) {
      const inner = Object.hasOwn(at, part) ? at[part] : undefined
      const copy: Record<string, unknown> = typeof inner === 'object' && !Array.isArray(inner) ? { ...inner } : {}
      at[part] = copy
      at = copy
    }
    at[last] = value
  }
  return input
}
