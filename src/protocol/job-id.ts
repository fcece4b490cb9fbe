import Type, { type Static } from 'typebox'

/** All kinds share one namespace. Digits only are excluded, because BullMQ reserves them. */
export const JOB_ID_PATTERN = '^(?![0-9]+$)[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$'

export const JobId = Type.String({
  pattern: JOB_ID_PATTERN,
  description: 'id of a job: 1 to 128 of A-Z a-z 0-9 _ . -, beginning with a letter or digit, not only digits',
})
export type JobId = Static<typeof JobId>

const pattern = new RegExp(JOB_ID_PATTERN)

export function isJobId(text: string): boolean {
  return pattern.test(text)
}
