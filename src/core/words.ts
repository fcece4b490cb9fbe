/** What people say about a job. No part of its input: nothing that computes the job depends on it. */
export interface JobWords {
  readonly title?: string
  readonly tags?: readonly string[]
  readonly metadata?: Readonly<Record<string, unknown>>
}

/** When a job may start. */
export interface Turn {
  /** ISO 8601; absent without a delay. */
  readonly not_before?: string
  /** Among the jobs of its owner, higher first; absent: 0. */
  readonly priority?: number
}

/** What a record says of a job beside its state. */
interface About extends Turn {
  readonly words?: JobWords
  readonly parent: string | null
}

/** Words as Redis holds them; '' for none. `tags` and `metadata` are JSON. */
export interface StoredWords {
  readonly title: string
  readonly tags: string
  readonly metadata: string
}

/** The words of their stored form. Null if the job has none. */
export function readWords({ title, tags, metadata }: { readonly [F in keyof StoredWords]?: string | null | undefined }): JobWords | null {
  if (!title && !tags && !metadata) return null
  return {
    ...(title && { title }),
    ...(tags && { tags: JSON.parse(tags) as string[] }),
    ...(metadata && { metadata: JSON.parse(metadata) as Record<string, unknown> }),
  }
}

/** How many characters of a title lists compare. */
const MAX_COMPARED = 64

/** A title, or the beginning of one, as lists compare it: without case, and only its first 64 characters. */
export function foldTitle(title: string): string {
  return [...title.normalize('NFKC').toUpperCase().toLowerCase()].slice(0, MAX_COMPARED).join('')
}

/** Fields of every state: the words that the job has, its turn and its parent. None for a job without them. */
export function aboutFields({ words, parent, ...job }: About): AboutJob {
  return { ...(words as MutableWords), ...turnOf(job), ...(parent !== null && { parent_id: parent }) }
}

/** Only what the job has. */
export function turnOf({ not_before, priority }: Turn): Turn {
  return { ...(not_before !== undefined && { not_before }), ...(priority !== undefined && { priority }) }
}

interface MutableWords {
  title?: string
  tags?: string[]
  metadata?: Record<string, unknown>
}

export type AboutJob = MutableWords & Turn & { parent_id?: string }

/** Fields of the message about a change: all words of the job. */
export function changedWords({ words }: About): {
  title: string | null
  tags: readonly string[]
  metadata: object | null
} {
  const { title = null, tags = [], metadata = null } = words ?? {}
  return { title, tags, metadata }
}
