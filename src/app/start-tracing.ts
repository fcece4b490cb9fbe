import { isInstalled } from '../config/optional-package.js'
import { isTracing } from '../core/tracing.js'
import type { Log } from './parts.js'

const PACKAGE = '@opentelemetry/sdk-node'
/** Time for the last spans of a process that ends: a collector may be away. */
const FLUSH_MS = 3000

/** The export of spans from this process. */
export interface Tracing {
  /** Sends what has not been sent, for at most 3 s. */
  close(): Promise<void>
}

/**
 * Exports spans as the variables of OpenTelemetry say, which its SDK reads from the environment of the process. Without
 * them nothing is loaded. A provider that the process has already stays, such as one of `node --import`. Throws with
 * the command that helps if the SDK is missing.
 */
export async function startTracing(env: Readonly<Record<string, string | undefined>>, service: string, log: Log): Promise<Tracing> {
  const variable = variableOf(env)
  if (variable === null || isTracing()) return { close: async () => {} }
  if (!isInstalled(PACKAGE)) throw new Error(`The package ${PACKAGE} is not installed (${variable}): run "npm install ${PACKAGE}"`)
  const { NodeSDK } = await import('@opentelemetry/sdk-node')
  const isNamed = env.OTEL_SERVICE_NAME || /(^|,)\s*service\.name\s*=/.test(env.OTEL_RESOURCE_ATTRIBUTES ?? '')
  // No metrics and logs: `/metrics` and stdout have them.
  const sdk = new NodeSDK({ metricReaders: [], logRecordProcessors: [], ...(!isNamed && { serviceName: service }) })
  sdk.start()
  if (!isTracing())
    throw new Error(
      `${PACKAGE} has no provider of spans for runcast (${variable}): see "npm ls @opentelemetry/api", which must be one version`,
    )
  log.info({ variable }, 'spans are exported')
  const close = async () => {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, FLUSH_MS)
    })
    await Promise.race([late, sdk.shutdown().catch((error: unknown) => log.warn({ err: error }, 'spans were not exported'))])
    clearTimeout(timer)
  }
  return { close }
}

/** The variable that asks for traces; null if none does. An empty one counts as absent. */
function variableOf(env: Readonly<Record<string, string | undefined>>): string | null {
  const { OTEL_SDK_DISABLED = '', OTEL_TRACES_EXPORTER = '' } = env
  if (OTEL_SDK_DISABLED.trim().toLowerCase() === 'true') return null
  const exporters = OTEL_TRACES_EXPORTER.split(',').map((name) => name.trim())
  if (exporters.includes('none')) return null
  if (exporters.some((name) => name !== '')) return 'OTEL_TRACES_EXPORTER'
  return ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'OTEL_EXPORTER_OTLP_ENDPOINT'].find((name) => env[name]?.trim()) ?? null
}
