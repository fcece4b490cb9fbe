import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Type, { type Static } from 'typebox'
import type { JobState } from '../../../core/job-state.js'
import { answers, submitAnswers } from '../../../http/contract/answers.js'
import { bodyExamples } from '../../../http/contract/examples.js'
import type { KindRoutes } from '../../../http/kind-routes.js'
import { enqueue, rejectWithBodyPaths } from '../../../http/routes/enqueue.js'
import { processes } from '../../../http/routes/processes.js'
import { fromBody, SubmitFields } from '../../../http/routes/submit-fields.js'
import { fromHeaders, SubmitHeaders } from '../../../http/routes/submit-headers.js'
import type { JobService } from '../../../jobs/job-service.js'
import { JobId } from '../../../protocol/job-id.js'
import { BenchmarkInput } from '../../benchmark/input.js'
import { Model } from '../../benchmark/model.js'

const Body = Type.Object(
  { process_id: Type.Optional(JobId), ...SubmitFields, ...BenchmarkInput.properties },
  { additionalProperties: false, ...bodyExamples(BenchmarkInput, true) },
)
const Models = Type.Object({ models: Type.Array(Model) }, { title: 'ModelList' })
const tags = ['benchmark']

/**
 * `GET /api/models`: the models that benchmarks can name, with names, context windows and prices only, for every user.
 * `POST /api/benchmark`: starts a benchmark; answers 202 with its process, or streams its messages. A repeated submit
 * returns the existing process.
 */
export function benchmarkRoutes(models: readonly Model[]): KindRoutes {
  return async (server, { jobs }) => {
    const app = server.withTypeProvider<TypeBoxTypeProvider>()
    app.addHook('onRequest', app.identify)
    const listed = {
      ...{ tags, operationId: 'listModels', summary: 'Models that benchmarks can name' },
      response: answers({ 200: Models }),
    }
    app.get('/api/models', { schema: listed }, async () => ({ models: [...models] }))

    const summary = 'Start a benchmark. With Accept: text/event-stream, stream its messages up to the final one'
    const { accepted, stream } = processes.answers
    const response = submitAnswers(accepted, stream)
    const schema = { tags, operationId: 'submitBenchmark', summary, headers: SubmitHeaders, body: Body, response }
    app.post('/api/benchmark', { schema }, async (request, reply) => {
      const who = { owner: request.identity.sub, ...fromHeaders(request) }
      return enqueue({ app: server, request, reply }, processes, () => submitBenchmark(jobs, who, request.body))
    })
  }
}

/** Enqueues a benchmark. */
function submitBenchmark(
  jobs: JobService,
  who: { readonly owner: string; readonly key?: string; readonly traceparent?: string },
  body: Static<typeof Body>,
): Promise<JobState> {
  const { given, rest } = fromBody(body)
  const { process_id, ...input } = rest
  return jobs
    .submit({ ...who, ...given, ...(process_id !== undefined && { id: process_id }), kind: 'benchmark', input })
    .catch(rejectWithBodyPaths)
}
