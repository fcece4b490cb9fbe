import type { FastifyPluginAsync } from 'fastify'
import type { Policy } from '../hub/guards/policy.js'
import type { JobService } from '../jobs/job-service.js'

/** Services that the routes of a kind may use. */
export interface KindRoutesOptions {
  readonly jobs: JobService
  readonly policy: Policy
}

/**
 * Routes of a kind besides the ones derived from its contract. They are passed to `buildServer` and register full
 * paths.
 */
export type KindRoutes = FastifyPluginAsync<KindRoutesOptions>
