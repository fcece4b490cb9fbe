import Type, { type Static } from 'typebox'
import { MAX_TIMEOUT_S, MIN_TIMEOUT_S } from '../core/timeout.js'

// A program cannot be given an argument that contains NUL.
const Text = (description: string, minLength = 0) => Type.String({ pattern: `^[^\\0]{${minLength},32768}$`, description })

/**
 * A program that computes runs. It is started exactly as configured, without a shell: no part of a request becomes part
 * of a command.
 */
export const SolverEntry = Type.Object(
  {
    name: Type.String({ pattern: '^[a-z][a-z0-9-]{0,31}$', description: 'name of the solver in the input of a run' }),
    command: Text('program: a name to find on PATH, or a path; relative to `cwd`', 1),
    args: Type.Array(Text('argument of the program'), { maxItems: 256, default: [] }),
    cwd: Type.String({
      pattern: '^[^\\0]{1,4096}$',
      default: '.',
      description: 'working folder; relative to the folder of the file',
    }),
    env: Type.Record(Type.String(), Text('value'), {
      propertyNames: { type: 'string', pattern: '^[A-Za-z_][A-Za-z0-9_]*$' },
      default: {},
      description: 'environment variables in addition to the few that every program gets',
    }),
    timeout_s: Type.Optional(
      Type.Number({
        minimum: MIN_TIMEOUT_S,
        maximum: MAX_TIMEOUT_S,
        description: 'default time limit of a run, in seconds; default: RUN_TIMEOUT_S',
      }),
    ),
    concurrency: Type.Integer({ minimum: 1, maximum: 64, default: 1, description: 'concurrent runs per worker process' }),
  },
  { additionalProperties: false },
)
export type SolverEntry = Static<typeof SolverEntry>

/** Contents of the file that `SOLVERS_FILE` names. */
export const SolversFile = Type.Object({ solvers: Type.Array(SolverEntry, { maxItems: 64 }) }, { additionalProperties: false })

/** A solver as it is loaded: `cwd` is absolute. */
export type Solver = SolverEntry
