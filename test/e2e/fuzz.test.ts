import t, { type Test } from 'tap'
import { signToken } from '../../src/cli/token.js'
import { startCommand } from '../support/command.js'
import { type Harness, SECRET, startHarness } from '../support/harness.js'
import { NO_PYTHON_TOOLS, PYTHON } from '../support/python-tools.js'

/** Test cases at least, over all runs; `npm run fuzz` makes more, by further phases. */
const CASES = Number(process.env.FUZZ_CASES ?? 300)
const isLong = CASES > 1000
t.setTimeout(isLong ? 3600_000 : 240_000)

/** Operations with rules beyond their schemas. */
const WITH_RULES = [
  'submitRun',
  'submitOptimization',
  'submitBenchmark',
  'submitJob',
  'claimJob',
  'reportJobEvents',
  'revokeTokens',
  'listRevocations',
  'listRunSeries',
  'listOptimizationSeries',
  'listProcessSeries',
  'listJobSeries',
  'listAllJobs',
]
const CONFIG = `
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 401, 403, 404, 409, 429]

[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 431]

[[operations]]
include-operation-id = ${JSON.stringify(WITH_RULES)}
checks.positive_data_acceptance.expected-statuses = ["2xx", 401, 403, 404, 409, 422, 429]
`
/** A claim does not wait for a job. */
const HOOKS = `
import schemathesis


@schemathesis.hook
def before_call(ctx, case, kwargs):
    if isinstance(case.body, dict) and isinstance(case.body.get("wait_s"), (int, float)):
        case.body["wait_s"] = min(case.body["wait_s"], 0.01)
`

/** Schemathesis on operations of a hub; answers how many cases it has tried. */
async function fuzz(t: Test, h: Harness, token: string | null, perOperation: number, ...filter: string[]): Promise<number> {
  const folder = t.testdir({ 'schemathesis.toml': CONFIG, 'hooks.py': HOOKS })
  const args = ['--config-file', 'schemathesis.toml', 'run', `${h.nodes[0]?.http}/docs/openapi.json`, '--no-color', '--checks', 'all']
  const how = ['--phases', isLong ? 'examples,coverage,fuzzing,stateful' : 'fuzzing', '--max-examples', String(perOperation), '--seed', '7']
  const auth = token === null ? [] : ['--header', `Authorization: Bearer ${token}`]
  const env = { SCHEMATHESIS_HOOKS: 'hooks', PYTHONPATH: folder, SCHEMATHESIS_NO_ANALYTICS: '1' }
  const { code, stdout, stderr } = await startCommand(t, PYTHON, ['-m', 'schemathesis.cli', ...args, ...how, ...auth, ...filter], {
    cwd: folder,
    env,
  }).ended
  const [, cases = '0'] = /^ {2}(\d+) generated/m.exec(stdout) ?? []
  t.equal(code, 0, `${cases} cases with ${token === null ? 'no token' : 'a token'}`)
  if (code !== 0) t.comment(`${stdout}\n${stderr}`)
  return Number(cases)
}

t.test('[DOC-1] no answer to generated requests is outside of the document', { skip: NO_PYTHON_TOOLS }, async (t) => {
  const h = await startHarness(t, { processor: null, env: { MAX_JOBS_PER_HOUR: '1000000', MAX_BYTES_PER_USER: '1000000000' } })
  const token = (role: string) => signToken(SECRET, `a-${role}`, 3600, { role })
  // the other phases of the long run make as many again
  const n = Math.ceil(CASES / (isLong ? 200 : 80))
  let cases = 0
  cases += await fuzz(t, h, token('admin'), n, '--exclude-tag', 'workers')
  cases += await fuzz(t, h, token('worker'), n, '--include-tag', 'workers')
  cases += await fuzz(t, h, null, n)
  t.ok(cases >= CASES, `${cases} cases`)
  t.same(h.faults, [])
})
