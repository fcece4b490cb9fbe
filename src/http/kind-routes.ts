import type { FastifyPluginAsync } from 'fastify'
import type { Policy } from '../hub/guards/policy.js'
import type { JobService } from '../jobs/job-service.js'

/** What routes of a kind get. */
export interface KindRoutesOptions {
  readonly jobs: JobService
  readonly policy: Policy
}

/** Routes that a kind has beside those that derive from its contract: whoever builds the server hands them in. They register full paths. */
export type KindRoutes = FastifyPluginAsync<KindRoutesOptions>
