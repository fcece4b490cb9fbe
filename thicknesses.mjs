// thicknesses.mjs
import { createJobs, defineKind, implement } from 'runcast'

export const jobs = createJobs({ redisUrl: process.env.REDIS_URL })

/** Computes a horn of half the thickness, as a job of the same user. */
export async function thicknesses(input, job) {
  const { owner } = await jobs.read(job.id)
  const half = { ...input, thickness_mm: input.thickness_mm / 2 }
  const { process_id: id } = await jobs.submit('run', half, { id: `${job.id}.half`, owner })
  for await (const message of jobs.watch(id, { signal: job.signal })) {
    if (message.type === 'completed') return { metrics_summary: { half_hz: message.metrics_summary.natural_frequency_hz } }
  }
  throw new Error(`${id} did not complete`)
}

export const halving = implement(
  defineKind({
    name: 'half',
    dialect: 'run',
    path: 'halves',
    idField: 'half_id',
    phases: ['waiting'],
    input: { type: 'object', properties: { thickness_mm: { type: 'number' } }, required: ['thickness_mm'], additionalProperties: true },
  }),
  { run: thicknesses },
)
