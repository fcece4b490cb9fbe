import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type, { type TObject } from 'typebox'
import { type Bucket, bucketsOf } from '../../core/series.js'
import type { Policy } from '../../hub/guards/policy.js'
import type { JobService } from '../../jobs/job-service.js'
import { RuncastError } from '../../protocol/codes.js'
import { JobId } from '../../protocol/job-id.js'
import { SeriesBucket, SeriesFields, SeriesItem } from '../../protocol/series-messages.js'
import type { SeriesReading, StoredSeries, TelemetryStore } from '../../storage/telemetry.js'
import { answers } from '../contract/answers.js'
import { JobPath, type JobResource, viewOf } from './job-resource.js'

export interface SeriesRoutesOptions {
  readonly resource: JobResource
  readonly jobs: JobService
  readonly policy: Policy
  readonly telemetry: Pick<TelemetryStore, 'allSeries' | 'series'>
}

const Query = Type.Object({
  metric: Type.Optional(Type.String({ description: 'the curve of this metric; without it, all metrics that have one' })),
  format: Type.Enum(['json', 'csv'], { default: 'json', description: 'csv: only with `metric`' }),
  token: Type.Optional(Type.String()),
})

const CSV = 'text/csv; charset=utf-8'
const COLUMNS = 'x_first,x_last,y_first,y_min,y_max,y_last,count'

/** `GET …/{id}/series`: the curves of a job's metrics, those of its current attempt. */
export const seriesRoutes: FastifyPluginAsyncTypebox<SeriesRoutesOptions> = async (app, { resource, jobs, policy, telemetry }) => {
  const { kind, tag, idField, answers: schemas } = resource
  const { one } = schemas.noun
  app.addHook('onRequest', app.identify)

  const head = { [idField]: JobId, as_of_seq: Type.Integer({ minimum: 0, description: 'position of the job when it was read' }) }
  const List: TObject = Type.Object({ ...head, epoch: Type.String(), series: Type.Array(SeriesItem) }, { title: `${one}SeriesList` })
  const Series: TObject = Type.Object({ ...head, ...SeriesFields, buckets: Type.Array(SeriesBucket) }, { title: `${one}Series` })
  const schema = {
    tags: [tag],
    operationId: `list${one}Series`,
    summary: 'The curves of the metrics of the current attempt: a list, or one with its buckets',
    params: JobPath,
    querystring: Query,
    response: answers(
      {
        200: {
          description: 'Without `metric` the list, with it the curve.',
          content: {
            'application/json': { schema: Type.Union([List, Series]) },
            'text/csv': { schema: Type.String({ description: COLUMNS }) },
          },
        },
      },
      'not_found',
      'invalid',
    ),
  }
  app.get('/:id/series', { schema }, async (request, reply) => {
    const { metric, format } = request.query
    const view = viewOf(policy, request)
    const { id, owner } = await jobs.read(kind, request.params.id, view)
    const reading = metric === undefined ? await telemetry.allSeries(id) : await telemetry.series(id, metric)
    // The id may have passed to another owner meanwhile.
    if (!reading || reading.owner !== owner) throw new RuncastError('not_found')
    const about = { [idField]: id, as_of_seq: reading.seq }
    if (metric === undefined) {
      if (format === 'csv')
        throw new RuncastError('invalid', { issues: [{ path: '/querystring/metric', expected: 'the name of a metric' }] })
      return { ...about, epoch: reading.epoch, series: reading.series.map((series) => itemOf(reading, series)) }
    }
    const [series] = reading.series
    if (!series) throw new RuncastError('not_found', `The job has no metric ${JSON.stringify(metric)} with a curve.`)
    const buckets = bucketsOf(series.bytes)
    if (format === 'csv') return reply.type(CSV).send(csvOf(buckets))
    return { ...about, ...itemOf(reading, series), buckets }
  })
}

function itemOf({ epoch }: SeriesReading, { name, unit, x, n, k, size }: StoredSeries) {
  return { metric_name: name, unit, x, n, k, epoch, buckets: size }
}

function csvOf(buckets: readonly Bucket[]): string {
  return `${[COLUMNS, ...buckets.map((bucket) => bucket.join())].join('\n')}\n`
}
