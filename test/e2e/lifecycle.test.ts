import t from 'tap'
import { runChaos } from './lifecycle/chaos.js'
import { report } from './lifecycle/report.js'
import { SMALL } from './lifecycle/scales.js'

const SEED = Number(process.env.CHAOS_SEED ?? Date.now() % 1e9)

t.test(
  `[STATE-2] [STATE-3] [STATE-7] [STATE-9] [RETRY-2] jobs of all kinds, under random kills, freezes, stops and cuts (CHAOS_SEED=${SEED})`,
  async (t) => {
    const verdict = await runChaos(SEED, SMALL)
    t.comment(report(verdict))
    t.same(Object.fromEntries([...verdict.faults].map(([name, texts]) => [name, texts.slice(0, 3)])), {})
  },
)
