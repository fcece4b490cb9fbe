import t from 'tap'
import { jobTable } from '../../src/cli/commands/list.js'
import { COMMANDS } from '../../src/cli/commands.js'
import { CommandError, EXIT, errorObject } from '../../src/cli/exit-code.js'
import { fieldsOf } from '../../src/cli/fields.js'
import { ageOf, progressOf } from '../../src/cli/job-text.js'
import { suggestionFor } from '../../src/cli/suggestion.js'
import { tableOf } from '../../src/cli/table.js'
import { JobFailed } from '../../src/client/job-failed.js'
import { RuncastError } from '../../src/protocol/codes.js'
import { BUILT_IN } from '../support/kinds.js'

t.test('a mistyped word gets the likeliest one as a suggestion, and another one none', async (t) => {
  const names = Object.keys(COMMANDS)
  const cases = {
    submti: 'submit',
    lst: 'list',
    artefacts: 'artifacts',
    rsume: 'resume',
    pasue: 'pause',
    completions: 'completion',
    lsit: 'list',
  }
  for (const [mistyped, expected] of Object.entries(cases)) t.equal(suggestionFor(mistyped, names), expected)
  for (const other of ['go', '', 'toString', '--go', 'x'.repeat(10_000)]) t.equal(suggestionFor(other, names), undefined, other.slice(0, 9))
  t.equal(suggestionFor('--jsno', ['--json', '--id']), '--json')
})

t.test('--field is a text or JSON, as the kind declares the field', async (t) => {
  const { properties } = BUILT_IN.get('run').input
  t.same(fieldsOf(['material=ti-6al-4v', 'width_mm=25', 'mesh={"elements_x":4}', 'sweep=a=b', '1=true'], properties), {
    material: 'ti-6al-4v',
    width_mm: 25,
    mesh: { elements_x: 4 },
    sweep: 'a=b',
    1: true,
  })
  const schemas = { name: { type: 'string' }, either: { anyOf: [{ const: '1' }, { const: '2' }] }, level: { enum: ['1', '2'] } }
  t.same(fieldsOf(['name=7', 'either=1', 'level=2', 'toString=3'], schemas), { name: '7', either: '1', level: '2', toString: 3 })
  for (const nameless of ['width_mm', '=1', '']) t.equal(fieldsOf([nameless]), null, nameless)
})

t.test('an error under --json is its code, its message and the id of the request', async (t) => {
  const hub = new RuncastError('invalid', { message: 'No.', issues: [{ path: '/a', expected: 'b' }], requestId: 'r-1' })
  const failed = new JobFailed('j', { code: 'solver_error', message: 'It diverges.', logTail: '' })
  const cases: [error: unknown, object: object][] = [
    [
      new CommandError('x', EXIT.unknown, hub),
      { code: 'invalid', message: 'No.', request_id: 'r-1', issues: [{ path: '/a', expected: 'b' }] },
    ],
    [new CommandError('x', EXIT.unknown, new RuncastError('quota', 'Full.')), { code: 'quota', message: 'Full.', request_id: null }],
    [new CommandError('x', EXIT.failed, failed), { code: 'solver_error', message: 'It diverges.', request_id: null }],
    [new CommandError('x', EXIT.usage), { code: 'usage', message: 'x', request_id: null }],
    [new CommandError('x', 143), { code: 'interrupted', message: 'x', request_id: null }],
    [new TypeError('x'), { code: 'failed', message: 'x', request_id: null }],
  ]
  for (const [error, object] of cases) t.same(errorObject(error), object)
})

t.test('a table is aligned and cut by the columns of a terminal, in which some characters have two', async (t) => {
  const rows = [
    ['日本語', 'e\u0301', '👩‍💻!'],
    ['a', null, 'ｱｱ'],
  ]
  t.same(tableOf(['x', 'accent', 'title'], rows).split('\n'), [
    'x       accent  title',
    '日本語  e\u0301       👩‍💻!',
    'a       -       ｱｱ',
    '',
  ])
  t.same(tableOf(['x', 'accent', 'title'], rows, 5).split('\n'), ['x', '日本', 'a', ''], 'half a character is none')
})

t.test('a job in a list has its progress and its age', async (t) => {
  const created_at = '2026-11-30T08:00:00.000Z'
  const now = Date.parse(created_at)
  for (const [seconds, age] of Object.entries({ '-5': '0s', 59.9: '59s', 60: '1m', 7199: '1h', 172800: '2d' }))
    t.equal(ageOf(created_at, now + 1000 * Number(seconds)), age)
  const progress = { current: 2, total: 3, detail: '' }
  t.equal(progressOf({ status: 'running', progress }), '66 %')
  t.equal(progressOf({ status: 'completed', progress }), '100 %')
  t.equal(progressOf({ status: 'running', progress: { ...progress, total: null } }), '2')
  t.equal(progressOf({ status: 'queued', progress: null }), null)
  const job = { id: 'horn-1', kind: 'run', status: 'running', progress, created_at, title: 'Größer als das Fenster' } as never // what is shown
  t.same(jobTable([job], now + 61_000, 50).split('\n'), [
    'job     kind  status   progress  age  title',
    'horn-1  run   running  66 %      1m   Größer als d',
    '',
  ])
})
