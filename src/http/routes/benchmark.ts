import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type, { type Static } from 'typebox'
import type { JobService } from '../../jobs/job-service.js'
import { BenchmarkInput } from '../../protocol/benchmark-input.js'
import { Refusal } from '../../protocol/codes.js'
import { JobId } from '../../protocol/job-id.js'
import type { JobState } from '../../protocol/job-state.js'
import { KINDS } from '../../protocol/kinds.js'
import { type Model, modelFaults } from '../../protocol/model.js'

/** What the route needs. */
export interface BenchmarkRouteOptions {
  readonly jobs: JobService
  readonly models: readonly Model[]
}

const Body = Type.Object({ process_id: Type.Optional(JobId), ...BenchmarkInput.properties }, { additionalProperties: false })

/** `POST /api/benchmark`: starts a benchmark and answers 202 with its process. The same `process_id` and input again are answered with the process as it is. */
export const benchmarkRoute: FastifyPluginAsyncTypebox<BenchmarkRouteOptions> = async (app, options) => {
  app.addHook('onRequest', app.identify)
  app.post('/api/benchmark', { schema: { tags: ['benchmark'], summary: 'Start a benchmark', body: Body } }, async (request, reply) => {
    const state = await submitBenchmark(options, request.identity.sub, request.body)
    return reply.code(202).header('location', linksOf(state.id).self).send(acceptedOf(state))
  })
}

/** Enqueues a benchmark for a user. Rejects with `invalid`, and what is configured, for a model that this hub does not know, and as `JobService.submit` does. */
export async function submitBenchmark(
  { jobs, models }: BenchmarkRouteOptions,
  owner: string,
  { process_id, ...input }: Static<typeof Body>,
): Promise<JobState> {
  const faults = modelFaults(input.models, models, '/models')
  if (faults.length > 0) throw new Refusal('invalid', undefined, faults)
  return jobs.submit({ ...(process_id !== undefined && { id: process_id }), owner, kind: 'benchmark', input })
}

function acceptedOf(state: JobState) {
  return {
    process_id: state.id,
    process_type: KINDS.benchmark.processType,
    status: state.status,
    created_at: state.created_at,
    links: linksOf(state.id),
  }
}

/** Where a process is found, watched and cancelled. */
function linksOf(id: string) {
  const self = `/api/processes/${id}`
  return { self, events: `${self}/events`, cancel: `${self}/cancel`, socket: '/ws' }
}
