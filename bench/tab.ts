import { WebSocket } from 'ws'

/** A client of `/ws` that records when each message of a process arrived. */
export class Tab {
  readonly #socket: WebSocket
  readonly #receivedAt = new Map<string, number>()
  #wake: () => void = () => {}

  private constructor(socket: WebSocket) {
    this.#socket = socket
  }

  /** Resolves with the first list. */
  static open(url: string): Promise<Tab> {
    const socket = new WebSocket(url)
    const tab = new Tab(socket)
    return new Promise((resolve, reject) => {
      socket.on('error', reject)
      socket.on('close', (code) => reject(new Error(`the socket closed with ${code}`)))
      socket.on('message', (data: Buffer) => {
        const at = performance.now()
        const { type, process_id } = JSON.parse(data.toString()) as { type: string; process_id?: string }
        tab.#receivedAt.set(`${process_id} ${type}`, at)
        tab.#wake()
        if (type === 'process_list') resolve(tab)
      })
    })
  }

  /** When the message of this type arrived, by `performance.now()`. */
  async receivedAt(id: string, type: string): Promise<number> {
    for (;;) {
      const at = this.#receivedAt.get(`${id} ${type}`)
      if (at !== undefined) return at
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  close(): void {
    this.#socket.terminate()
  }
}
