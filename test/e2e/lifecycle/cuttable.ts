import { WebSocket } from 'ws'
import type { Message } from '../../support/test-client.js'

interface Cuttings {
  /** The last ones. */
  readonly sockets: readonly WebSocket[]
  readonly Cuttable: new (url: string) => WebSocket
}

/** A WebSocket class that goes to a hub of its own choice, and keeps its sockets so that they can be cut. Each message is shown to `onMessage` as it came. */
export function cuttable(hubUrl: () => string, onMessage?: (message: Message, socket: WebSocket) => void): Cuttings {
  const sockets: WebSocket[] = []
  class Cuttable extends WebSocket {
    constructor(url: string) {
      super(url.replace('ws://hub', hubUrl()))
      sockets.push(this)
      if (sockets.length > 4) sockets.shift()
      if (onMessage) this.on('message', (data: Buffer) => onMessage(JSON.parse(data.toString()), this))
    }
  }
  return { sockets, Cuttable }
}

/** Stops reading from a connection for a while, as a suspended tab does. */
export function pauseFor(line: { pause(): void; resume(): void } | undefined, ms: number): void {
  line?.pause()
  setTimeout(() => line?.resume(), ms).unref()
}
