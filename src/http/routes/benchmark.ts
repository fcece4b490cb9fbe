import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type, { type Static } from 'typebox'
import type { JobState } from '../../core/job-state.js'
import { JobTimeout } from '../../core/timeout.js'
import type { JobService } from '../../jobs/job-service.js'
import { BenchmarkInput } from '../../kinds/benchmark/input.js'
import { type Model, modelFaults } from '../../kinds/benchmark/model.js'
import { RuncastError } from '../../protocol/codes.js'
import { JobId } from '../../protocol/job-id.js'
import { enqueue } from './enqueue.js'
import { IdempotencyHeaders, keyOf } from './idempotency.js'
import { processes } from './processes.js'

/** What the route needs. */
export interface BenchmarkRouteOptions {
  readonly jobs: JobService
  readonly models: readonly Model[]
}

const Body = Type.Object(
  { process_id: Type.Optional(JobId), job_timeout_s: JobTimeout, ...BenchmarkInput.properties },
  { additionalProperties: false },
)

/**
 * `POST /api/benchmark`: starts a benchmark and answers 202 with its process, or streams it to its end. The same `process_id` and input again are answered
 * with the process as it is.
 */
export const benchmarkRoute: FastifyPluginAsyncTypebox<BenchmarkRouteOptions> = async (app, options) => {
  app.addHook('onRequest', app.identify)
  const summary = 'Start a benchmark. With Accept: text/event-stream its messages up to the final one'
  const schema = { tags: ['benchmark'], summary, headers: IdempotencyHeaders, body: Body }
  app.post('/api/benchmark', { schema }, async (request, reply) => {
    const who = { owner: request.identity.sub, ...keyOf(request) }
    return enqueue({ app, request, reply }, processes, () => submitBenchmark(options, who, request.body))
  })
}

/** Enqueues a benchmark for a user. Rejects with `invalid`, and what is configured, for a model that this hub does not know, and as `JobService.submit` does. */
async function submitBenchmark(
  { jobs, models }: BenchmarkRouteOptions,
  who: { readonly owner: string; readonly key?: string },
  { process_id, job_timeout_s: timeoutS, ...input }: Static<typeof Body>,
): Promise<JobState> {
  const faults = modelFaults(input.models, models, '/models')
  if (faults.length > 0) throw new RuncastError('invalid', { issues: faults })
  const given = { ...(process_id !== undefined && { id: process_id }), ...(timeoutS !== undefined && { timeoutS }) }
  return jobs.submit({ ...who, ...given, kind: 'benchmark', input })
}
