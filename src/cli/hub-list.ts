import type { HubAccess } from '../client/hub-access.js'
import { callHub } from './hub-access.js'

export type Query = Readonly<Record<string, string | number | undefined>>

/** A path with the values that are defined as its query. */
export function pathWith(path: string, query: Query): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (value !== undefined) parameters.set(name, String(value))
  return `${path}${parameters.size > 0 ? `?${parameters}` : ''}`
}

/**
 * At most `limit` jobs of a list, by pages of at most `maxPage`. A job that is on two pages is listed once. `cursor`:
 * where the list continues, or null.
 */
export async function jobsOf<J extends { readonly id: string }>(
  hub: HubAccess,
  path: string,
  query: Query,
  { limit, maxPage }: { readonly limit: number; readonly maxPage: number },
): Promise<{ readonly jobs: readonly J[]; readonly cursor: string | null }> {
  const jobs = new Map<string, J>()
  let cursor: string | null = null
  do {
    const page = { limit: Math.min(limit - jobs.size, maxPage), cursor: cursor ?? undefined }
    // as every hub answers
    const answer = (await callHub(hub, 'GET', pathWith(path, { ...query, ...page }))) as { jobs: J[]; cursor: string | null }
    for (const job of answer.jobs) jobs.set(job.id, job)
    cursor = answer.cursor
  } while (cursor !== null && jobs.size < limit)
  return { jobs: [...jobs.values()], cursor }
}
