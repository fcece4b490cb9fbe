import type { Config } from '../../config/config.js'
import type { Kind } from '../../core/kind.js'
import type { KindRoutes } from '../../http/kind-routes.js'
import { catalogueOf } from '../benchmark/catalogue.js'
import { benchmarkKind } from '../benchmark/kind.js'
import { optimizationKind } from '../optimization/kind.js'
import { loadProviders } from './benchmark/load-providers.js'
import { benchmarkRoutes } from './benchmark/routes.js'
import { optimizationRoutes } from './optimization/routes.js'

/** Routes of a kind in a hub. */
export interface KindInHub {
  readonly kind: Kind
  /** Throws if a file that the settings name is invalid. */
  routes(config: Config): KindRoutes
}

/** The built-in kinds with routes of their own. */
export const KINDS_IN_HUB: readonly KindInHub[] = [
  { kind: optimizationKind, routes: () => optimizationRoutes },
  { kind: benchmarkKind, routes: ({ PROVIDERS_FILE }) => benchmarkRoutes(catalogueOf(loadProviders(PROVIDERS_FILE))) },
]
