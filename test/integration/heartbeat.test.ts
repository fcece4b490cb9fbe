import { once } from 'node:events'
import t from 'tap'
import { WebSocket } from 'ws'
import { startHarness } from '../support/harness.js'

t.test('[CONN-9] over real sockets: who answers pings stays, who does not is closed with 4002', async (t) => {
  const harness = await startHarness(t, { processor: null, env: { PING_INTERVAL_MS: '100', IDLE_MS: '500' } })
  const id = await harness.submit()
  const listens = await harness.connect(id)
  const frozen = new WebSocket(`${harness.nodes[0]?.ws}/api/v2/ws/runs/${id}?token=${harness.token()}`, { autoPong: false })
  const [code, reason] = await once(frozen, 'close')
  t.equal(code, 4002)
  t.match(String(reason), /sent nothing/)
  t.equal(listens.socket.readyState, WebSocket.OPEN)
  listens.send({ type: 'ping' })
  await listens.next('pong')
  t.same(harness.faults, [])
})
