import type { Admission } from '../../storage/admission.js'

type Probe = () => Promise<boolean>

/**
 * The slots of users on this node. If a user has no slot left, a new socket displaces one that does not answer a ping.
 */
export class SocketSlots {
  readonly #admission: Admission
  /** Of the sockets that have a slot, by user. */
  readonly #probes = new Map<string, Set<Probe>>()
  #count = 0

  constructor(admission: Admission) {
    this.#admission = admission
  }

  /** Resolves to the function that frees the slot, or to null if none is left. Rejects as `Admission.enter` does. */
  async enter(sub: string, probe: Probe): Promise<(() => void) | null> {
    this.#count += 1
    const id = String(this.#count)
    const isAdmitted = (await this.#admission.enter(sub, id)) || ((await this.#displace(sub)) && (await this.#admission.enter(sub, id)))
    if (!isAdmitted) return null
    const probes = this.#probes.get(sub) ?? new Set()
    probes.add(probe)
    this.#probes.set(sub, probes)
    return () => {
      probes.delete(probe)
      if (probes.size === 0 && this.#probes.get(sub) === probes) this.#probes.delete(sub)
      void this.#admission.leave(sub, id)
    }
  }

  /** Whether a socket of this user on this node has freed its slot. */
  async #displace(sub: string): Promise<boolean> {
    const answers = await Promise.all([...(this.#probes.get(sub) ?? [])].map((probe) => probe()))
    return answers.includes(true)
  }
}
