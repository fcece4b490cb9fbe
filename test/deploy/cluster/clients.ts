import { request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { signToken } from '../../../src/cli/token.js'
import type { JobView } from '../../../src/client/job-view.js'
import { JobWatch } from '../../../src/client/watch-job.js'
import { isFinal } from '../../../src/protocol/status.js'
import { eventually } from '../../support/eventually.js'
import { SseClient } from '../../support/sse-client.js'

/** Before a stream is asked for again; EventSource waits longer. */
const PAUSE_MS = 200
/** Of a job, on a machine that has much else to do. */
const LONGEST_MS = 480_000

interface Answer {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: the tests look at whatever came
  readonly body: any
}

/** What is read of the entries of a job. */
interface Entry {
  readonly type: string
  readonly seq: number
  readonly status?: JobView['status']
}

/** What is read of the messages of a stream. */
interface StreamMessage {
  readonly type: string
  readonly seq: number
  readonly status?: JobView['status']
  readonly recovered?: boolean
  readonly attempt?: number
  readonly attempts?: number
}

/** Who watches a job: with what they were told of it. */
export interface Follower {
  readonly id: string
  /** Seqs of the durable entries and the final one, in the order in which they came. */
  readonly persisted: readonly number[]
  /** Seq of the first state: what is older was never promised. */
  readonly since: number
  /** Resolves at the end of the job. */
  readonly over: Promise<{ readonly status: string; readonly attempts: number }>
  close(): void
}

/** What WebSockets heard of the hubs that ended. */
export interface Moves {
  /** Asked to move before their hub went. */
  told: number
  /** Closed since their hub goes (1012), without a word before. */
  cut: number
}

/** A WebSocket that also counts how its hub says goodbye. */
function countingSocket(moves: Moves): new (url: string) => WebSocket {
  return class extends WebSocket {
    constructor(url: string) {
      super(url)
      let isTold = false
      this.on('message', (data) => {
        if (isTold || !`${data}`.startsWith('{"type":"drain"')) return
        isTold = true
        moves.told += 1
      })
      this.on('close', (code) => {
        if (code === 1012 && !isTold) moves.cut += 1
      })
    }
  }
}

/** Users of a service, each with its own token. */
export class Users {
  readonly moves: Moves = { told: 0, cut: 0 }
  readonly #address: string
  readonly #secret: string

  constructor(address: string, secret: string) {
    this.#address = address
    this.#secret = secret
  }

  /** A request on a connection of its own, so that the Service decides anew. */
  call(user: string, method: string, path: string, body?: object): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${this.#token(user)}`, ...(body && { 'content-type': 'application/json' }) }
      const asked = request(`http://${this.#address}${path}`, { method, headers, agent: false, timeout: 20_000 }, (response) => {
        response.setEncoding('utf8')
        let text = ''
        response.on('data', (chunk: string) => {
          text += chunk
        })
        response.on('error', reject)
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text === '' ? null : JSON.parse(text) }))
      })
      asked.on('timeout', () => asked.destroy(new Error('no answer')))
      asked.on('error', reject)
      asked.end(body && JSON.stringify(body))
    })
  }

  /** Submits a run and answers its id. */
  async submit(user: string, input: object): Promise<string> {
    const { status, body } = await this.call(user, 'POST', '/api/v2/runs', { input })
    if (status !== 202) throw new Error(`submit: ${status} ${JSON.stringify(body)}`)
    return body.run_id
  }

  /** The durable entries, as they are kept. */
  async log(user: string, id: string): Promise<readonly Entry[]> {
    return (await this.call(user, 'GET', `/api/v2/runs/${id}/events?after=0&limit=1000`)).body.events
  }

  /** Over a WebSocket, with the client of the package. */
  watch(user: string, id: string): Follower {
    const persisted: number[] = []
    let since = -1
    const watch = new JobWatch({
      url: `ws://${this.#address}/api/v2/ws/runs/${id}`,
      token: () => this.#token(user),
      WebSocket: countingSocket(this.moves),
      onMessage: (message) => {
        if ('recovered' in message) since = since < 0 ? message.seq : since
        else if (message.type !== 'progress' && message.seq > since) persisted.push(message.seq)
      },
    }).start()
    const over = watch.finished().then((view) => ({ status: view.status, attempts: attemptsOf(view.final) }))
    // Whoever waits for it hears that the watch was closed.
    over.catch(() => {})
    return {
      id,
      persisted,
      over,
      close: () => watch.close(),
      get since() {
        return since
      },
    }
  }

  /** Over server-sent events, as plain as a browser's EventSource: it connects again with the id of the last event. */
  stream(user: string, id: string): Follower {
    const persisted: number[] = []
    let since = -1
    let final: { status: string; attempts: number } | undefined
    let client: SseClient | undefined
    let isOpen = true
    const take = ({ type, seq, status, recovered, attempt = 0, attempts }: StreamMessage) => {
      if (recovered === undefined) {
        if (type !== 'progress' && seq > since) persisted.push(seq)
        if (attempts !== undefined) final = { status: type, attempts }
      } else if (since < 0) {
        since = seq
        // Later, what was missed follows the state.
        if (status !== undefined && isFinal(status)) final = { status, attempts: attempt }
      }
    }
    const connect = async () => {
      for (let lastId = ''; isOpen && !final; ) {
        const headers = { authorization: `Bearer ${this.#token(user)}`, ...(lastId && { 'last-event-id': lastId }) }
        const own = new SseClient(`http://${this.#address}/api/v2/runs/${id}/events`, { headers })
        client = own
        while (!final) {
          const message = await own.next().catch(() => null)
          if (message === null) break
          take(message)
        }
        own.terminate()
        lastId = own.lastEventId || lastId
        await sleep(PAUSE_MS)
      }
    }
    void connect()
    const over = eventually(() => final ?? !isOpen, { timeoutMs: LONGEST_MS, everyMs: 100 }).then((end) => {
      if (end === true) throw new Error('closed by this side')
      return end
    })
    over.catch(() => {})
    const close = () => {
      isOpen = false
      client?.terminate()
    }
    return {
      id,
      persisted,
      over,
      close,
      get since() {
        return since
      },
    }
  }

  #token(user: string): string {
    return signToken(this.#secret, user, 3600)
  }
}

function attemptsOf(final: object | null): number {
  return final && 'attempts' in final && typeof final.attempts === 'number' ? final.attempts : -1
}
