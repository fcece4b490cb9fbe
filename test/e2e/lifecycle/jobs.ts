import { setTimeout as sleep } from 'node:timers/promises'
import { isFinal } from '../../../src/protocol/status.js'
import { eventually } from '../../support/eventually.js'
import { BUILT_IN } from '../../support/kinds.js'
import { INPUTS, type Input } from './inputs.js'
import type { JobPlan } from './plan.js'
import type { Tally } from './tally.js'
import type { Witness } from './witness.js'
import type { Answer, World } from './world.js'

export interface Stage {
  readonly world: World
  readonly witness: Witness
  readonly tally: Tally
  readonly onFault: (fault: string) => void
  /** Told once a job is taken. */
  readonly onTaken: (plan: JobPlan) => void
  /** Aborted when no more is to be asked for. */
  readonly over: AbortSignal
}

type Action = 'submit' | 'cancel' | 'retry'

const PATIENCE = { timeoutMs: 120_000, everyMs: 100 }
/** What a hub may answer, beside that it cannot serve right now. */
const ANSWERS: Readonly<Record<Action, readonly (number | string)[]>> = {
  submit: [202],
  cancel: [202, 'already_final'],
  retry: [202, 'not_final'],
}

/** Carries out the life of one job over REST, at hubs that may be dead or frozen. Resolves when its users want nothing more of it. */
export class JobLife {
  readonly #stage: Stage
  readonly #plan: JobPlan
  #requests = 0

  constructor(stage: Stage, plan: JobPlan) {
    this.#stage = stage
    this.#plan = plan
  }

  async live(): Promise<void> {
    const { repeatsAfter, cancelsAfter } = this.#plan
    await this.#submit()
    this.#stage.tally.count('jobs', this.#plan.input)
    this.#stage.onTaken(this.#plan)
    const repeats = repeatsAfter.map((ms) => this.#later(ms, () => this.#submit()))
    const cancels = cancelsAfter.map((ms) => this.#later(ms, () => this.#cancel()))
    await Promise.all([...repeats, ...cancels, this.#retry()])
  }

  /** Asks until a hub has taken it: after an answer that never came, the same id again is the same job. */
  async #submit(): Promise<void> {
    const { id, input } = this.#plan
    const { kind, body, timeoutS }: Input = INPUTS[input]
    const limit = { ...(timeoutS !== undefined && { job_timeout_s: timeoutS }) }
    const request = {
      run: { path: '/api/v2/runs', body: { run_id: id, ...limit, input: body } },
      optimization: { path: '/api/v2/optimizations', body: { optimization_id: id, ...limit, ...body } },
      benchmark: { path: '/api/benchmark', body: { process_id: id, ...limit, ...body } },
    }[kind]
    let last: Answer | null = null
    const isTaken = async () => {
      last = await this.#ask('submit', request)
      return last?.status === 202
    }
    await eventually(isTaken, PATIENCE).catch((cause) => {
      throw new Error(`no hub accepted ${id}; the last answer was ${JSON.stringify(last)}`, { cause })
    })
  }

  async #cancel(): Promise<void> {
    const ask = () => this.#ask('cancel', { path: this.#path('cancel') })
    await Promise.all(this.#plan.cancelsTwice ? [ask(), ask()] : [ask()])
  }

  /** Runs it again after it has failed or was cancelled, as often as planned. */
  async #retry(): Promise<void> {
    const { id, retriesAfter } = this.#plan
    const { witness, over } = this.#stage
    for (const ms of retriesAfter) {
      let status = witness.status(id)
      while (!over.aborted && !(status && isFinal(status))) {
        await witness.next(over)
        status = witness.status(id)
      }
      if (status === 'completed') return
      await this.#later(ms, () => this.#ask('retry', { path: this.#path('retry') }))
    }
  }

  #path(what: 'cancel' | 'retry'): string {
    const { id, input, hub } = this.#plan
    const { path } = BUILT_IN.get(INPUTS[input].kind)
    return `${path !== null && hub % 2 === 0 ? `/api/v2/${path}` : '/api/processes'}/${id}/${what}`
  }

  async #later(ms: number, act: () => Promise<unknown>): Promise<void> {
    await sleep(ms, undefined, { signal: this.#stage.over }).catch(() => {})
    if (!this.#stage.over.aborted) await act()
  }

  async #ask(action: Action, { path, body }: { path: string; body?: object }): Promise<Answer | null> {
    const { world, tally, onFault } = this.#stage
    const { owner: sub, hub } = this.#plan
    const answer = await world.ask({ method: 'POST', path, sub, hub: hub + this.#requests++, ...(body && { body }) })
    const name = answer === null ? 'no answer' : String(answer.body?.error ?? answer.status)
    tally.count(`${action} requests`, name)
    const isFine =
      answer === null || answer.status === 503 || answer.status === 429 || ANSWERS[action].some((fine) => String(fine) === name)
    if (!isFine) onFault(`${path} was answered with ${answer.status} ${JSON.stringify(answer.body)}`)
    return answer
  }
}
