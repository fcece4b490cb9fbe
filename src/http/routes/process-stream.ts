import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { nativeDialect } from '../../core/native-dialect.js'
import {
  PROCESS_WIRE_LIST,
  PROCESS_WIRE_MESSAGES,
  PROCESS_WIRE_SNAPSHOT,
  PROCESS_WIRE_TELEMETRY,
  wireMessages,
  wireSnapshot,
  wireTelemetry,
} from '../../core/wire-messages.js'
import { type UserScopeLimits, userScope } from '../../hub/scopes/user-scope.js'
import { RuncastError } from '../../protocol/codes.js'
import { HUB_MESSAGES } from '../../protocol/hub-messages.js'
import { answers, eventStream, jsonOrStream } from '../contract/answers.js'
import { type JobResourceOptions, viewOf } from './job-resource.js'
import { varyByAccept, wantsEventStream } from './negotiate.js'
import { telemetryOf } from './position.js'
import { processes } from './processes.js'
import { reserveStreamSlot, serveStream } from './stream.js'

export interface ProcessStreamOptions extends Omit<JobResourceOptions, 'resource' | 'artifacts'> {
  readonly userLimits: UserScopeLimits
}

/** Name of the route below the path of processes. A job may have this id. */
const NAME = 'events'
/** Most jobs that one stream names. */
const MAX_IDS = 64

const Query = Type.Object({
  process_id: Type.Optional(
    Type.String({
      maxLength: 129 * MAX_IDS,
      description: `jobs to follow beside the active ones, at most ${MAX_IDS}, separated by commas`,
    }),
  ),
  dialect: Type.Optional(Type.Enum(['process', 'run'], { description: 'run: jobs of kinds in the run dialect send its messages' })),
  log: Type.Optional(Type.Literal('1', { description: 'also the lines of the logs, as `process_log` or `log` messages' })),
  series: Type.Optional(Type.Literal('1', { description: 'also the curves of the metrics' })),
  artifacts: Type.Optional(Type.Literal('1', { description: 'also the files that the jobs store' })),
  health: Type.Optional(Type.Literal('1', { description: 'also whether a job is stalled or stale' })),
  token: Type.Optional(Type.String()),
})

/**
 * `GET /api/processes/events`: what `/ws` sends, as server-sent events. Without `Accept: text/event-stream` the path is
 * that of a job with this name as its id.
 */
export const processStream: FastifyPluginAsyncTypebox<ProcessStreamOptions> = async (app, { jobs, policy, userLimits }) => {
  app.addHook('onRequest', app.identify)
  const runKinds = jobs.kinds.all.filter(({ snapshot }) => snapshot)
  const ofRuns = runKinds.flatMap((kind) => [wireSnapshot(kind), ...Object.values(wireMessages(kind)), ...wireTelemetry(kind)])
  const ofProcesses = [PROCESS_WIRE_LIST, PROCESS_WIRE_SNAPSHOT, ...Object.values(PROCESS_WIRE_MESSAGES), ...PROCESS_WIRE_TELEMETRY]
  const stream = eventStream([...ofProcesses, ...ofRuns, HUB_MESSAGES.refused, HUB_MESSAGES.unsubscribed])
  const schema = {
    tags: [processes.tag],
    operationId: 'streamProcesses',
    summary: 'With Accept: text/event-stream all own jobs, live, as on the socket /ws. Else the state of a job with the id events',
    querystring: Query,
    response: answers(
      { 200: jsonOrStream('The live stream, or the state of a job.', processes.answers.state, stream) },
      'not_found',
      'restart',
    ),
  }
  app.get(`${processes.base}/${NAME}`, { schema }, async (request, reply) => {
    varyByAccept(reply)
    if (!wantsEventStream(request)) return processes.stateOf(await jobs.read(null, NAME, viewOf(policy, request)))
    const { process_id = '', dialect } = request.query
    const ids = process_id.split(',').filter((id) => id !== '')
    if (ids.length > MAX_IDS)
      throw new RuncastError('invalid', {
        issues: [{ path: '/querystring/process_id', expected: `at most ${MAX_IDS} ids; there are ${ids.length}` }],
      })
    reserveStreamSlot(app, request, reply)
    const wish = { ids, ...(dialect === 'run' && { dialect: nativeDialect }), telemetry: telemetryOf(request.query) }
    return serveStream(app, request, reply, userScope(userLimits, wish), false)
  })
}
