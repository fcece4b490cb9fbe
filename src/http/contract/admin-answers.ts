import Type from 'typebox'
import { Nullable } from '../../protocol/json-schema.js'

const Time = Type.String({ description: 'ISO 8601' })
const Cursor = Nullable(Type.String({ description: '`cursor` of the next page' }))
const Count = (description: string) => Type.Integer({ minimum: 0, description })
const Silent = Type.Array(Type.String(), { description: 'ids of hubs that did not answer within a second' })
const Process = {
  id: Type.String(),
  host: Type.String(),
  pid: Type.Integer(),
  version: Type.String({ description: 'version of the package' }),
  started_at: Time,
}

/** `GET /api/admin/jobs`. */
export const JobsPage = Type.Object(
  {
    jobs: Type.Array(
      Type.Object(
        {
          id: Type.String(),
          kind: Type.String(),
          user: Type.String({ description: 'who submitted it' }),
          solver: Nullable(Type.String()),
          status: Type.String(),
          execution: Type.Integer({ description: '1, and one more with each retry by a user' }),
          attempt: Type.Integer(),
          parent: Nullable(Type.String({ description: 'the job that has submitted it' })),
          created_at: Time,
          started_at: Nullable(Time),
          worker: Nullable(Type.String({ description: 'id of the worker process that runs it, if it is known' })),
        },
        { title: 'ActiveJob' },
      ),
    ),
    cursor: Cursor,
  },
  { title: 'ActiveJobPage' },
)

/** `GET /api/admin/queues`. */
export const Queues = Type.Object(
  {
    queues: Type.Array(
      Type.Object(
        {
          queue: Type.String(),
          waiting: Count('jobs that may start as soon as a worker is free'),
          held: Count('jobs whose user has no free slot'),
          admitted: Count('jobs that were handed to workers and have not ended'),
          running: Count('jobs and steps that workers hold'),
          delayed: Count('jobs that wait for a further attempt'),
          workers: Nullable(Count('connected workers of this package'), { description: 'null if Redis does not tell' }),
          head_wait_s: Type.Number({ description: 'how long the next job has waited for a worker' }),
        },
        { title: 'QueueState' },
      ),
    ),
    users: Type.Array(Type.Object({ queue: Type.String(), user: Type.String(), waiting: Count('jobs') }, { title: 'WaitingUser' }), {
      description: 'the users with the most waiting jobs, at most 20',
    }),
  },
  { title: 'QueueList' },
)

/** `GET /api/admin/workers`. */
export const Workers = Type.Object(
  {
    workers: Type.Array(
      Type.Object(
        {
          ...Process,
          kinds: Type.Array(Type.String()),
          queues: Type.Array(
            Type.Object({ queue: Type.String(), slots: Count('jobs at once'), running: Count('jobs that run now') }, { title: 'QueueUse' }),
          ),
          jobs: Type.Array(Type.String(), { description: 'ids of jobs that it runs, at most 200' }),
        },
        { title: 'WorkerProcess' },
      ),
    ),
    claims: Type.Array(
      Type.Object(
        {
          queue: Type.String(),
          job: Type.String(),
          by: Nullable(Type.String({ description: '`sub` of the token that claimed it' })),
          expires_in_s: Type.Number({ description: 'the lease ends then, if the worker does not renew it' }),
        },
        { title: 'HeldClaim' },
      ),
    ),
  },
  { title: 'WorkerList' },
)

/** `GET /api/admin/sessions`. */
export const SessionPage = Type.Object(
  {
    sessions: Type.Array(
      Type.Object(
        {
          id: Type.String(),
          node: Type.String({ description: 'id of the hub' }),
          user: Type.String(),
          role: Type.String(),
          via: Type.String({ description: '`websocket` or `sse`' }),
          ip: Type.String(),
          since: Time,
          follows: Type.Object(
            {
              scope: Type.String({ description: '`job`: one job; `user`: the jobs of its user' }),
              count: Count('jobs that it follows'),
              jobs: Type.Array(Type.String(), { description: 'their ids, at most 10' }),
            },
            { title: 'Follows' },
          ),
          backlog_bytes: Count('bytes in the hub that wait for this client'),
        },
        { title: 'Session' },
      ),
    ),
    total: Count('all sessions that match'),
    hubs: Type.Array(
      Type.Object(
        { ...Process, sessions: Nullable(Count('sessions that match'), { description: 'null if the hub did not answer' }) },
        { title: 'HubProcess' },
      ),
    ),
    silent: Silent,
  },
  { title: 'SessionPage' },
)

/** The answers to a disconnect. */
export const Disconnected = Type.Object({ disconnected: Count('sessions that were ended'), silent: Silent }, { title: 'Disconnected' })
