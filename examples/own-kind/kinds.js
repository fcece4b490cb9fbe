import { defineKind } from 'runcast'

const length = { type: 'number', minimum: -1e6, maximum: 1e6 }

/**
 * A short closed tour through all cities, by simulated annealing. Hubs and workers import this module
 * (`KINDS_MODULES`), programs import the kind.
 */
export const tour = defineKind({
  name: 'tour',
  dialect: 'run',
  path: 'tours',
  idField: 'tour_id',
  phases: ['annealing', 'polishing'],
  input: {
    type: 'object',
    additionalProperties: false,
    properties: {
      cities: {
        type: 'array',
        minItems: 3,
        maxItems: 1000,
        description: 'the cities; without them `count` random ones',
        items: { type: 'object', additionalProperties: false, required: ['x', 'y'], properties: { x: length, y: length } },
      },
      count: { type: 'integer', minimum: 3, maximum: 1000, default: 100, description: 'cities in the unit square' },
      seed: { type: 'integer', minimum: 0, maximum: 4294967295, default: 1, description: 'the same seed, the same tour' },
      sweeps: { type: 'integer', minimum: 1, maximum: 100000, default: 2000, description: 'tried moves for each city' },
    },
  },
  attempts: 2,
  timeoutS: 600,
  thread: new URL('./tour-thread.js', import.meta.url),
})
