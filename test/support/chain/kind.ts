import Type from 'typebox'
import { kindOf } from '../../../src/core/define-kind.js'
import type { JobEvent } from '../../../src/core/entry.js'
import { messageBuilder } from '../../../src/core/message-builder.js'
import { computedEvents } from '../../../src/core/run-events.js'
import { JobId } from '../../../src/protocol/job-id.js'
import { Timestamp } from '../../../src/protocol/life-fields.js'
import { jobMessages } from '../../../src/protocol/run-messages.js'

const MESSAGES = {
  ...jobMessages('chain_id', ['linking']),
  link: Type.Object({ type: Type.Literal('link'), chain_id: JobId, run_id: JobId, length: Type.Number(), timestamp: Timestamp }),
}
const message = messageBuilder(MESSAGES, (chain_id) => ({ chain_id }))

export const chainEvents = {
  ...computedEvents('chain_id', ['linking'], MESSAGES),
  link: (id: string, run_id: string, length: number): JobEvent => ({
    key: 'link',
    class: 'persisted',
    message: message('link', id, { run_id, length }),
  }),
}

/** A kind in steps for tests: runs in sequence, whose lengths add up. */
export const chainKind = kindOf({
  name: 'chain',
  dialect: 'run',
  path: 'chains',
  idField: 'chain_id',
  phases: ['linking'],
  input: Type.Object(
    { links: Type.Integer({ minimum: 1, maximum: 10 }), base: Type.Object({}, { additionalProperties: true }) },
    { additionalProperties: false },
  ),
  inSteps: true,
  events: chainEvents,
  messages: MESSAGES,
  clears: { round: ['link'] },
})
