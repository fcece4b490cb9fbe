import fc from 'fast-check'
import t from 'tap'
import type { Counted } from '../../src/hub/gap-recovery.js'
import { CountedStream, QUIET_MS } from '../support/counted-stream.js'
import { settle } from '../support/manual.js'
import { check } from './check.js'

type Act =
  | { readonly do: 'write'; readonly fate: 'brought' | 'lost' | 'late' | 'twice' }
  | { readonly do: 'bring late ones' | 'tell a gap' | 'hold reads' | 'release reads' | 'go away' | 'come back' | 'restart' | 'refresh' }
  | { readonly do: 'pass'; readonly ms: number }

const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('write' as const), fate: fc.constantFrom('brought', 'lost', 'late', 'twice') }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom('bring late ones', 'tell a gap', 'hold reads', 'release reads', 'go away', 'come back', 'restart', 'refresh'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 2 * QUIET_MS }) }) },
)

/** Does what the channel and the store do, and lets the reader go on. */
async function play(stream: CountedStream, late: Counted[], act: Act): Promise<void> {
  const { recovery } = stream
  switch (act.do) {
    case 'write': {
      const item = stream.write()
      if (act.fate === 'late') late.push(item)
      else if (act.fate !== 'lost') recovery.receive(item)
      if (act.fate === 'twice') recovery.receive(item)
      break
    }
    case 'bring late ones':
      for (const item of late.splice(0).reverse()) recovery.receive(item)
      break
    case 'tell a gap':
      void recovery.recover()
      break
    case 'refresh':
      recovery.refresh().catch(() => {})
      break
    case 'hold reads':
      stream.holdReads()
      break
    case 'release reads':
      stream.releaseReads()
      break
    case 'go away':
      stream.fails = 'away'
      break
    case 'come back':
      stream.fails = null
      break
    case 'restart':
      stream.restart(`${stream.head.generation}+`)
      break
    case 'pass':
      stream.clock.advance(act.ms)
  }
  await settle()
}

t.test('[POS-7] whatever is lost, late, repeated or refused: never a gap in what is known, and all of it in the end', async (t) => {
  const property = fc.asyncProperty(fc.array(act, { maxLength: 40, size: 'max' }), async (acts) => {
    const stream = new CountedStream()
    const late: Counted[] = []
    for (const each of [{ do: 'refresh' } as const, ...acts]) {
      await play(stream, late, each)
      if (!stream.known.every((seq, i) => seq === i + 1)) throw new Error(`known: ${stream.known}`)
      if (stream.known.length !== (stream.position?.seq ?? 0)) throw new Error(`position ${stream.position?.seq} of ${stream.known.length}`)
    }
    stream.fails = null
    await play(stream, late, { do: 'release reads' })
    await play(stream, late, { do: 'bring late ones' })
    // The first read of a stream is its owner's to repeat.
    if (!stream.position) await stream.open()
    await play(stream, late, { do: 'pass', ms: QUIET_MS })
    if (stream.position?.generation !== stream.head.generation || stream.position.seq !== stream.head.seq)
      throw new Error(`ends at ${JSON.stringify(stream.position)} of ${JSON.stringify(stream.head)}`)
    if (stream.faults.length > 0) throw stream.faults[0]
  })
  await check(t, 'gap-recovery', property, 150)
})
