import { get } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Container, type Probe, portOf } from '../objects.js'

/** Kubernetes' own defaults, and its own reading of success: one is enough. */
const DEFAULTS = { periodSeconds: 10, timeoutSeconds: 1, failureThreshold: 3 }

/** Asks a probe again and again, as the kubelet does, until the signal. Tells each turn: healthy at the first success, not so after `failureThreshold` failures in a row. */
export async function probing(
  probe: Probe,
  container: Container,
  ip: string,
  signal: AbortSignal,
  onTurn: (isHealthy: boolean) => void,
): Promise<void> {
  const { periodSeconds, failureThreshold } = { ...DEFAULTS, ...probe }
  for (let failures = 0; !signal.aborted; ) {
    const isHealthy = await ask(probe, container, ip)
    if (signal.aborted) return
    failures = isHealthy ? 0 : failures + 1
    if (isHealthy) onTurn(true)
    else if (failures >= failureThreshold) onTurn(false)
    await sleep(periodSeconds * 1000, undefined, { signal }).catch(() => {})
  }
}

/** One question. A command is not run, since the image that has it is not there: such a container counts as healthy when its first port is open. */
function ask(probe: Probe, container: Container, ip: string): Promise<boolean> {
  const timeout = (probe.timeoutSeconds ?? DEFAULTS.timeoutSeconds) * 1000
  const { httpGet } = probe
  if (!httpGet) return isOpen(portOf(container, probe.tcpSocket?.port ?? container.ports?.[0]?.containerPort ?? 0) ?? 0, ip, timeout)
  return new Promise((resolve) => {
    const request = get({ host: ip, port: portOf(container, httpGet.port), path: httpGet.path, timeout, agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode !== undefined && response.statusCode >= 200 && response.statusCode < 400)
    })
    request.on('timeout', () => request.destroy())
    request.on('error', () => resolve(false))
    request.on('close', () => resolve(false))
  })
}

function isOpen(port: number, host: string, timeout: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host, timeout })
    socket.on('timeout', () => socket.destroy())
    socket.on('connect', () => {
      resolve(true)
      socket.destroy()
    })
    socket.on('error', () => resolve(false))
    socket.on('close', () => resolve(false))
  })
}
