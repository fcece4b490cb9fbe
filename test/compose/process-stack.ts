import type { Stack } from './stack.js'

export class ProcessStack implements Stack {
  readonly kind = 'processes'
  readonly url = ''
  static async up(): Promise<ProcessStack> {
    throw new Error('later')
  }
  async token(): Promise<string> {
    return ''
  }
  async units(): Promise<string[]> {
    return []
  }
  async scale(): Promise<void> {}
  async stop(): Promise<number> {
    return 0
  }
  async crash(): Promise<void> {}
  async replace(): Promise<number> {
    return 0
  }
  async restart(): Promise<void> {}
  async logs(): Promise<string> {
    return ''
  }
  async memory(): Promise<ReadonlyMap<string, number>> {
    return new Map()
  }
  async close(): Promise<void> {}
}
