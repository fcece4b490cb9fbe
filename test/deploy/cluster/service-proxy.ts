import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

/** What went wrong between a client and the pods. */
export interface Lost {
  /** Connections to a pod that did not listen. */
  refused: number
  /** Connections while no pod was known to be ready. */
  nobody: number
}

/** A Service: an address whose connections go to any of the pods that are known to be ready; it learns of each change some time later, as every node of a cluster does. */
export class ServiceProxy {
  readonly lost: Lost = { refused: 0, nobody: 0 }
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #delayMs: number
  #endpoints: readonly { ip: string; port: number }[] = []
  #turn = 0

  private constructor(delayMs: number) {
    this.#delayMs = delayMs
    this.#server = createServer((socket) => this.#pass(socket))
  }

  static async listen(ip: string, port: number, delayMs: number): Promise<ServiceProxy> {
    const proxy = new ServiceProxy(delayMs)
    proxy.#server.listen(port, ip)
    await once(proxy.#server, 'listening')
    return proxy
  }

  /** How many pods it sends to now. */
  get size(): number {
    return this.#endpoints.length
  }

  /** Who is ready now; it acts by it after its delay. */
  learn(endpoints: readonly { ip: string; port: number }[]): void {
    setTimeout(() => {
      this.#endpoints = endpoints
    }, this.#delayMs).unref()
  }

  close(): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  #pass(client: Socket): void {
    client.on('error', () => {})
    const endpoint = this.#endpoints[this.#turn++ % this.#endpoints.length]
    if (!endpoint) {
      this.lost.nobody += 1
      client.resetAndDestroy()
      return
    }
    const pod = connect({ host: endpoint.ip, port: endpoint.port })
    for (const socket of [client, pod]) {
      this.#sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('close', () => this.#sockets.delete(socket))
    }
    pod.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') this.lost.refused += 1
      client.resetAndDestroy()
    })
    client.on('close', () => pod.destroy())
    pod.on('close', () => client.destroy())
    client.pipe(pod).pipe(client)
  }
}
