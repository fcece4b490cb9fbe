import type { Config } from '../../config/config.js'
import type { Kind } from '../../core/kind.js'
import type { KindRoutes } from '../../http/kind-routes.js'
import type { InputCheck } from '../../jobs/input.js'
import { catalogueOf } from '../benchmark/catalogue.js'
import type { BenchmarkInput } from '../benchmark/input.js'
import { benchmarkKind } from '../benchmark/kind.js'
import { modelFaults } from '../benchmark/model.js'
import { optimizationKind } from '../optimization/kind.js'
import { loadProviders } from './benchmark/load-providers.js'
import { benchmarkRoutes } from './benchmark/routes.js'
import { optimizationRoutes } from './optimization/routes.js'

/** What a kind adds to a hub besides its contract. */
export interface KindInHub {
  readonly routes: KindRoutes
  /** Checks each submitted input against the configuration of the hub. */
  readonly inputCheck?: InputCheck
}

/** The built-in kinds that add something. `build` throws if a file that the settings name is invalid. */
export const KINDS_IN_HUB: readonly { readonly kind: Kind; build(config: Config): KindInHub }[] = [
  { kind: optimizationKind, build: () => ({ routes: optimizationRoutes }) },
  {
    kind: benchmarkKind,
    build: ({ PROVIDERS_FILE }) => {
      const models = catalogueOf(loadProviders(PROVIDERS_FILE))
      // The kind's schema has accepted the input.
      return { routes: benchmarkRoutes(models), inputCheck: (input) => modelFaults(input as BenchmarkInput, models) }
    },
  },
]
