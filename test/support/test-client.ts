import { once } from 'node:events'
import { WebSocket } from 'ws'
import { checkMessage } from './contract.js'
import { Inbox } from './inbox.js'

export type { Message } from './inbox.js'

/** A WebSocket client. */
export class TestClient extends Inbox {
  readonly opened: Promise<unknown>
  readonly closed: Promise<{ code: number; reason: string }>
  readonly socket: WebSocket

  constructor(url: string, headers: Readonly<Record<string, string>> = {}) {
    super()
    this.socket = new WebSocket(url, { headers })
    this.opened = once(this.socket, 'open')
    this.socket.on('message', (data: Buffer) => {
      this.came(data.toString())
      checkMessage(url, this.messages.at(-1))
    })
    this.closed = new Promise((resolve) => {
      this.socket.on('close', (code, reason) => {
        resolve({ code, reason: reason.toString() })
        this.over()
      })
    })
    this.socket.on('error', () => {})
  }

  send(message: unknown): void {
    this.socket.send(typeof message === 'string' || Buffer.isBuffer(message) ? message : JSON.stringify(message))
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  async close(): Promise<void> {
    this.socket.close()
    await this.closed
  }

  terminate(): void {
    this.socket.terminate()
  }
}
