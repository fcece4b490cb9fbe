import t from 'tap'
import { startHarness } from '../helpers/harness.js'

t.test('smoke', async (t) => {
  const h = await startHarness(t, { nodes: 2 })
  const id = await h.submit()
  const a = await h.connect(id)
  const b = await h.connect(id, { node: 1 })
  await a.next('completed')
  await b.next('completed')
  t.equal(a.texts.length > 3, true)
  console.log(a.texts.join('\n'))
  t.same(h.faults, [])
})
