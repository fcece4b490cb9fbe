import Type from 'typebox'
import { defineKind } from '../../src/kind.js'

/** Stores artifacts from a thread; see `keeper-thread.ts`. */
export const keeper = defineKind({
  name: 'keeper',
  dialect: 'run',
  path: 'keepers',
  idField: 'keeper_id',
  phases: ['working'],
  attempts: 2,
  input: Type.Object({ script: Type.Enum(['store', 'fail']) }, { additionalProperties: false }),
})
