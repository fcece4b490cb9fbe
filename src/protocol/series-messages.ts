import Type, { type Static } from 'typebox'

const Count = Type.Integer({ minimum: 0 })
const Num = Type.Number()

/** A point of a series: x and y. */
export type Point = readonly [x: number, y: number]

/** Consecutive points of a series. */
export type Bucket = readonly [xFirst: number, xLast: number, yFirst: number, yMin: number, yMax: number, yLast: number, count: number]
export const SeriesBucket = Type.Unsafe<Bucket>(
  Type.Array(Num, {
    title: 'SeriesBucket',
    minItems: 7,
    maxItems: 7,
    description: 'x_first, x_last, y_first, y_min, y_max, y_last, count of consecutive points',
  }),
)

/** What a series is: fields of its head. */
export const SeriesFields = {
  metric_name: Type.String(),
  unit: Type.String(),
  x: Type.Enum(['step', 'seconds'], { description: 'what x is: the `step` of the reports, or seconds since the start of the attempt' }),
  n: Type.Integer({ minimum: 0, description: 'number of points' }),
  k: Type.Integer({ minimum: 1, description: 'points per bucket of the whole series, a power of two' }),
  epoch: Type.String({ description: 'names the attempt that the points belong to; another one is another series' }),
}

/** Fields of a message about a series, in either dialect: a part of it, live or as a fold. */
export const SeriesPartFields = {
  ...SeriesFields,
  n: Type.Integer({ minimum: 0, description: 'number of points up to the end of this part' }),
  from: Type.Integer({ minimum: 0, description: 'number of points before this part' }),
  points: Type.Optional(
    Type.Array(Type.Unsafe<Point>(Type.Array(Num, { minItems: 2, maxItems: 2 })), {
      description: 'x and y of each point, instead of buckets that would hold one each',
    }),
  ),
  buckets: Type.Optional(Type.Array(SeriesBucket)),
  value: Type.Optional(Type.Number({ description: 'only live: the newest y' })),
  step: Type.Optional(Type.Number({ description: 'only live: the newest x, if the job reports steps' })),
  as_of_seq: Type.Optional(Type.Integer({ minimum: 0, description: 'only of a fold: position of the job when it was read' })),
}

const FieldsOfPart = Type.Object(SeriesPartFields)
/** The fields of a message about a series. */
export type SeriesPartMessage = Static<typeof FieldsOfPart>

/** An item of the list of series of a job. */
export const SeriesItem = Type.Object({ ...SeriesFields, buckets: Count }, { title: 'SeriesItem' })
