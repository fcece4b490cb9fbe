import type { Test } from 'tap'
import type { OpenBackend } from './backend.js'
import { beatContract } from './beat-suite.js'
import { checkpointContract } from './checkpoint-suite.js'
import { publishContract } from './publish-suite.js'
import { readContract } from './read-suite.js'
import { seriesContract } from './series-suite.js'
import { statesContract } from './states-suite.js'
import { storeContract } from './store-suite.js'
import { telemetryContract } from './telemetry-suite.js'

/** What every Broker and JobStore keeps, whatever it is made of. */
export function brokerContract(t: Test, open: OpenBackend): void {
  publishContract(t, open)
  statesContract(t, open)
  readContract(t, open)
  storeContract(t, open)
  beatContract(t, open)
  checkpointContract(t, open)
  telemetryContract(t, open)
  seriesContract(t, open)
}
