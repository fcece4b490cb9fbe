import t from 'tap'
import Type from 'typebox'
import { defineKind, withBuiltIns } from '../../src/app/define-kind.js'
import { requestFor } from '../../src/cli/submission.js'
import { BUILT_IN } from '../support/kinds.js'

const input = { width_mm: 25 }
const common = { input, id: 'horn-1', timeoutS: 77 }

t.test('a run: its input in a field, its solver beside it', async (t) => {
  t.same(requestFor({ kind: 'run', input }, BUILT_IN), { path: '/api/v2/runs', body: { input } })
  t.same(requestFor({ kind: 'run', ...common, solver: 'ansys' }, BUILT_IN), {
    path: '/api/v2/runs',
    body: { run_id: 'horn-1', job_timeout_s: 77, solver: 'ansys', input },
  })
})

t.test('an optimization: its input is the body', async (t) => {
  const search = { variables: [], solver: 'horn-2d' }
  t.same(requestFor({ kind: 'optimization', input: search }, BUILT_IN), { path: '/api/v2/optimizations', body: search })
  t.same(requestFor({ ...common, kind: 'optimization', input: search, solver: 'ansys' }, BUILT_IN), {
    path: '/api/v2/optimizations',
    body: { optimization_id: 'horn-1', job_timeout_s: 77, variables: [], solver: 'ansys' },
  })
})

t.test('a benchmark: its input is the body, in the process dialect', async (t) => {
  const models = { models: ['local/ngram'] }
  t.same(requestFor({ kind: 'benchmark', input: models }, BUILT_IN), { path: '/api/benchmark', body: models })
  t.same(requestFor({ ...common, kind: 'benchmark', input: models }, BUILT_IN), {
    path: '/api/benchmark',
    body: { process_id: 'horn-1', job_timeout_s: 77, models: ['local/ngram'] },
  })
})

t.test('any other kind: in the process dialect, by its name; a defined one as its dialect has it', async (t) => {
  t.same(requestFor({ kind: 'weather', input }, BUILT_IN), { path: '/api/processes', body: { process_type: 'weather', input } })
  t.same(requestFor({ kind: 'weather', ...common }, BUILT_IN), {
    path: '/api/processes',
    body: { process_type: 'weather', process_id: 'horn-1', job_timeout_s: 77, input },
  })
  const defined = { input: Type.Object({}), processor: async () => ({ metrics_summary: {} }) }
  const tide = defineKind({ ...defined, name: 'tide', dialect: 'process' })
  const tour = defineKind({ ...defined, name: 'tour', dialect: 'run', path: 'tours', idField: 'tour_id', phases: ['all'] })
  const kinds = withBuiltIns([tide, tour])
  t.match(requestFor({ kind: 'tide', ...common }, kinds), { path: '/api/processes', body: { process_type: 'tide', input } })
  t.same(requestFor({ kind: 'tour', ...common }, kinds), { path: '/api/v2/tours', body: { tour_id: 'horn-1', job_timeout_s: 77, input } })
})
