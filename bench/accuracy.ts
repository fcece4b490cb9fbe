import { runMain } from '../src/app/process.js'
import { type Figure, figureTable } from './accuracy/figure.js'
import { checkHorns } from './accuracy/horns.js'
import { checkOptimization } from './accuracy/optimization.js'
import { checkOptimizer } from './accuracy/optimizer.js'

/** What is checked, one after the other. */
const PARTS: readonly (() => Promise<Figure[]>)[] = [checkOptimizer, checkOptimization, checkHorns]

/** `npm run accuracy`: results of the numerics beside what theory or literature says. Exit code 1 where one does not keep to its bound. */
async function main(): Promise<void> {
  const figures: Figure[] = []
  for (const check of PARTS) figures.push(...(await check()))
  process.stdout.write(figureTable(figures))
  const failed = figures.filter(({ holds }) => !holds)
  if (failed.length > 0) throw new Error(`${failed.length} of ${figures.length} figures do not hold.`)
}

await runMain(main)
