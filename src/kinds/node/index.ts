import type { Config } from '../../config/config.js'
import type { Kind } from '../../core/kind.js'
import type { KindRoutes } from '../../http/kind-routes.js'
import { catalogueOf } from '../benchmark/catalogue.js'
import { benchmarkKind } from '../benchmark/kind.js'
import { optimizationKind } from '../optimization/kind.js'
import { loadProviders } from './benchmark/load-providers.js'
import { benchmarkRoutes } from './benchmark/routes.js'
import { optimizationRoutes } from './optimization/routes.js'

/** What a kind has in a hub beside its contract. */
export interface HubPart {
  readonly kind: Kind
  /** Throws what is wrong with the files that its settings name. */
  routes(config: Config): KindRoutes
}

/** Those of the built-in kinds that have any. */
export const HUB_PARTS: readonly HubPart[] = [
  { kind: optimizationKind, routes: () => optimizationRoutes },
  { kind: benchmarkKind, routes: ({ PROVIDERS_FILE }) => benchmarkRoutes(catalogueOf(loadProviders(PROVIDERS_FILE))) },
]
