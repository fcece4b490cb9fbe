import { runMain } from '../src/app/process.js'
import { type Figure, figureTable } from './accuracy/figure.js'
import { checkHorns } from './accuracy/horns.js'
import { checkOptimization } from './accuracy/optimization.js'
import { checkOptimizer } from './accuracy/optimizer.js'

/** The checks, run in sequence. */
const PARTS: readonly (() => Promise<Figure[]>)[] = [checkOptimizer, checkOptimization, checkHorns]

/** `npm run accuracy`: compares numerical results with theory and literature. Exit code 1 if one exceeds its bound. */
async function main(): Promise<void> {
  const figures: Figure[] = []
  for (const check of PARTS) figures.push(...(await check()))
  process.stdout.write(figureTable(figures))
  const failed = figures.filter(({ holds }) => !holds)
  if (failed.length > 0) throw new Error(`${failed.length} of ${figures.length} figures exceed their bounds.`)
}

await runMain(main)
