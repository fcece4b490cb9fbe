import { randomUUID } from 'node:crypto'
import { isOverloaded, RuncastError } from '../../protocol/codes.js'
import type { HubAnswer, HubCalls, HubQuestion } from '../hub-calls.js'
import { asked } from '../store-fault.js'
import type { CommandConnection } from './connection.js'
import type { RedisKeys } from './keys.js'
import type { ChannelHandler, RedisSubscriber } from './subscriber.js'

export interface HubCallsOptions {
  /** Id of this hub. */
  readonly id: string
  readonly commands: CommandConnection
  readonly subscriber: () => RedisSubscriber
  readonly keys: RedisKeys
  readonly onFault: (error: unknown) => void
  /** How long to wait for the answers. */
  readonly waitMs?: number
}

/** A question on the channel of all hubs. `to`: the hub that asks. */
interface Asked {
  readonly ask: string
  readonly to: string
  readonly question: HubQuestion
}

interface Answered {
  readonly ask: string
  readonly from: string
  readonly answer: HubAnswer
}

interface Waiting {
  readonly answers: Map<string, HubAnswer>
  /** Called after each answer. */
  changed(): void
}

const WAIT_MS = 1000
/** Maximum questions of one hub that wait for answers. */
const MAX_WAITING = 16
/** Interval of attempts to subscribe. */
const RETRY_MS = 1000

/**
 * Questions by publish/subscribe: one channel for all questions, one for the answers to each hub. What is lost with a
 * connection is not sent again; the hub then counts as silent.
 */
export class RedisHubCalls implements HubCalls {
  readonly #options: Required<HubCallsOptions>
  readonly #waiting = new Map<string, Waiting>()
  #retry: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(options: HubCallsOptions) {
    this.#options = { waitMs: WAIT_MS, ...options }
  }

  listen(answer: (question: HubQuestion) => HubAnswer): void {
    void this.#subscribe(answer)
  }

  async ask(question: HubQuestion, hubs: readonly string[]): Promise<ReadonlyMap<string, HubAnswer>> {
    if (this.#waiting.size >= MAX_WAITING) throw new RuncastError('rate_limited', 'Too many questions to all hubs at once.')
    const { commands, keys, id: to, waitMs } = this.#options
    const ask = randomUUID()
    const answers = new Map<string, HubAnswer>()
    let timer: NodeJS.Timeout | undefined
    const answered = new Promise<void>((resolve) => {
      // Without any known hub, as while Redis refuses writes, all that answer in time count.
      const changed = () => hubs.length > 0 && hubs.every((hub) => answers.has(hub)) && resolve()
      this.#waiting.set(ask, { answers, changed })
      timer = setTimeout(resolve, waitMs)
      changed()
    })
    try {
      await asked(commands.publish(keys.hubs(), JSON.stringify({ ask, to, question } satisfies Asked)))
      await answered
      return answers
    } finally {
      clearTimeout(timer)
      this.#waiting.delete(ask)
    }
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#retry)
    for (const channel of [this.#options.keys.hubs(), this.#options.keys.answers(this.#options.id)])
      this.#options.subscriber().unsubscribe(channel).catch(this.#report)
  }

  async #subscribe(answer: (question: HubQuestion) => HubAnswer): Promise<void> {
    const { keys, id, subscriber } = this.#options
    const handlerOf = (message: (text: string) => void): ChannelHandler => ({
      message: (body) => {
        try {
          message(body.toString())
        } catch (error) {
          this.#options.onFault(error)
        }
      },
      gap: () => {},
    })
    try {
      await Promise.all([
        subscriber().subscribe(
          keys.hubs(),
          handlerOf((text) => this.#answer(text, answer)),
        ),
        subscriber().subscribe(
          keys.answers(id),
          handlerOf((text) => this.#receive(text)),
        ),
      ])
    } catch (error) {
      this.#report(error)
      if (!this.#isClosed) this.#retry = setTimeout(() => void this.#subscribe(answer), RETRY_MS).unref()
    }
  }

  #answer(text: string, answer: (question: HubQuestion) => HubAnswer): void {
    const { ask, to, question } = JSON.parse(text) as Asked // only hubs publish here
    if (this.#isClosed || !isKnown(question)) return
    const { commands, keys, id: from } = this.#options
    const answered: Answered = { ask, from, answer: answer(question) }
    commands.publish(keys.answers(to), JSON.stringify(answered)).catch(this.#report)
  }

  #receive(text: string): void {
    const { ask, from, answer } = JSON.parse(text) as Answered // only hubs publish here
    const waiting = this.#waiting.get(ask)
    waiting?.answers.set(from, answer)
    waiting?.changed()
  }

  readonly #report = (error: unknown): void => {
    if (!isOverloaded(error)) this.#options.onFault(error)
  }
}

/** A later version may ask something else. */
function isKnown({ type }: HubQuestion): boolean {
  return type === 'sessions' || type === 'disconnect'
}
