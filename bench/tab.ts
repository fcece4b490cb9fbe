import { WebSocket } from 'ws'

/** A client of `/ws` that notes when each message of a process came. */
export class Tab {
  readonly #socket: WebSocket
  readonly #heardAt = new Map<string, number>()
  #wake: () => void = () => {}

  private constructor(socket: WebSocket) {
    this.#socket = socket
  }

  /** Resolves when the list is there. */
  static open(url: string): Promise<Tab> {
    const socket = new WebSocket(url)
    const tab = new Tab(socket)
    return new Promise((resolve, reject) => {
      socket.on('error', reject)
      socket.on('close', (code) => reject(new Error(`the socket closed with ${code}`)))
      socket.on('message', (data: Buffer) => {
        const at = performance.now()
        const { type, process_id } = JSON.parse(data.toString()) as { type: string; process_id?: string }
        tab.#heardAt.set(`${process_id} ${type}`, at)
        tab.#wake()
        if (type === 'process_list') resolve(tab)
      })
    })
  }

  /** When the message of this type came, on the clock of `performance.now`. */
  async heard(id: string, type: string): Promise<number> {
    for (;;) {
      const at = this.#heardAt.get(`${id} ${type}`)
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
