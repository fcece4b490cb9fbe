import { type Harness, HORN } from './harness.js'
import { type Message, TestClient } from './test-client.js'

/** Opens `/ws` on a node as a user, and reads the list. */
export async function openTab(h: Harness, node = 0, sub = 'alice', token = h.token(sub)): Promise<TestClient> {
  const client = new TestClient(`${h.nodes[node]?.ws}/ws?token=${token}`)
  h.onTeardown(() => client.terminate())
  await client.opened
  await client.next('process_list')
  return client
}

/** The messages of a process, as received texts. */
export function textsOf(client: TestClient, id: string): string[] {
  return client.texts.filter((_, i) => client.messages[i].process_id === id)
}

/** Whether a client received the final message of a process. */
export function hasEnded(client: TestClient, id: string): boolean {
  return client.messages.some((message) => message.process_id === id && /^process_(completed|failed|cancelled)$/.test(message.type))
}

/** The messages of a process that a client received. */
export function messagesOf(client: TestClient, id: string): Message[] {
  return client.messages.filter(({ process_id }) => process_id === id)
}

export interface Submit {
  readonly node?: number
  readonly sub?: string
}

/** Submits a run over REST and returns its id. */
export async function submit(harness: Harness, id: string, { node = 0, sub = 'alice' }: Submit = {}): Promise<string> {
  const { status, body } = await harness.call('POST', '/api/v2/runs', { node, sub, body: { run_id: id, input: HORN } })
  if (status !== 202) throw new Error(`${status} ${JSON.stringify(body)}`)
  return id
}
