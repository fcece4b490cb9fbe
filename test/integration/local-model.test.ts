import OpenAI from 'openai'
import t from 'tap'
import { loadCorpus } from '../../workers/benchmark/local/corpus.js'
import { Counts, generate, seededRandom } from '../../workers/benchmark/local/ngram.js'
import { type LocalProvider, startLocalProvider } from '../../workers/benchmark/local/server.js'
import { tokenise } from '../../workers/benchmark/local/tokens.js'

const corpus = loadCorpus()
const QUESTION = [{ role: 'user' as const, content: 'How does an ultrasonic horn work?' }]

async function open(): Promise<{ provider: LocalProvider; client: OpenAI }> {
  const provider = await startLocalProvider(corpus)
  t.teardown(() => provider.close())
  return { provider, client: new OpenAI({ baseURL: provider.baseUrl, apiKey: provider.key, maxRetries: 0 }) }
}

t.test(
  '[BENCH-8] local/ngram speaks the interface: models, a whole answer, a stream with role, tokens, finish reason and usage',
  async (t) => {
    const { client } = await open()
    t.same(
      (await client.models.list()).data.map(({ id }) => id),
      ['ngram'],
    )
    const whole = await client.chat.completions.create({ model: 'ngram', messages: QUESTION, max_tokens: 30, seed: 7 })
    t.match(whole, { object: 'chat.completion', choices: [{ finish_reason: 'length' }], usage: { completion_tokens: 30 } })
    const stream = await client.chat.completions.create({
      model: 'ngram',
      messages: QUESTION,
      max_tokens: 30,
      seed: 7,
      stream: true,
      stream_options: { include_usage: true },
    })
    const chunks: OpenAI.Chat.Completions.ChatCompletionChunk[] = []
    for await (const chunk of stream) chunks.push(chunk)
    t.match(chunks[0]?.choices[0]?.delta, { role: 'assistant', content: '' })
    const text = chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')
    t.equal(text, whole.choices[0]?.message.content, 'the same seed, the same text')
    t.equal(chunks.filter(({ choices }) => choices[0]?.delta.content).length, 30, 'max_tokens is kept, one token a chunk')
    t.match(chunks.at(-1), { choices: [], usage: { completion_tokens: 30, prompt_tokens: 7, total_tokens: 37 } })
    t.equal(chunks.at(-2)?.choices[0]?.finish_reason, 'length')
  },
)

t.test('[BENCH-8] it really generates: words of its text, another one for another seed, always the same at temperature 0', async (t) => {
  const model = new Counts(tokenise(corpus))
  const prompt = tokenise('The horn')
  const write = (seed: number, temperature: number, n = 200) => {
    const tokens = generate(model, prompt, { temperature, random: seededRandom(seed) })
    return Array.from({ length: n }, () => tokens.next().value)
  }
  const known = new Set([...tokenise(corpus), ...prompt])
  const text = write(1, 1)
  t.ok(text.every((token) => known.has(token)))
  t.same(write(1, 1), text)
  t.notSame(write(2, 1), text)
  t.ok(new Set(text).size > 50, 'it does not repeat one word')
  const pairs = text.slice(1).map((token, i) => `${text[i]}${token}`)
  t.ok(pairs.filter((pair) => corpus.includes(pair)).length > 0.8 * pairs.length, 'most neighbours are neighbours in its text')
  t.ok(new Set(write(1, 2)).size > new Set(write(1, 0.2)).size, 'the hotter, the more various')
  for (const piece of ['Two  blanks,\n\na “quote” 3.14 €', '', "don’t and don't"])
    t.equal(tokenise(piece).join(''), piece, 'tokens joined are the text')
})

t.test('[BENCH-8] what it cannot answer it refuses as the interface does', async (t) => {
  const { provider, client } = await open()
  const ask = (body: object) => client.chat.completions.create({ model: 'ngram', messages: QUESTION, ...body })
  await t.rejects(ask({ max_tokens: 8190 }), { message: /^400 \d+ tokens of prompt and answer are more than the context window/ })
  await t.rejects(ask({ model: 'other' }), { message: /^404 There is no such model/ })
  await t.rejects(ask({ temperature: 3 }), { message: /^400 \/temperature/ })
  await t.rejects(ask({ messages: [] }), { message: /^400 \/messages/ })
  const thief = new OpenAI({ baseURL: provider.baseUrl, apiKey: 'guess', maxRetries: 0 })
  await t.rejects(thief.models.list(), { message: /^401/ })
  for (const [path, init, status] of [
    ['/elsewhere', {}, 404],
    ['/chat/completions', { method: 'POST', body: '{' }, 400],
    ['/chat/completions', { method: 'POST', body: ' '.repeat(1_100_000) }, 413],
  ] as const) {
    const answer = await fetch(`${provider.baseUrl}${path}`, { ...init, headers: { authorization: `Bearer ${provider.key}` } })
    t.equal(answer.status, status)
    await answer.body?.cancel()
  }
})

t.test('[BENCH-8] it stops when the client goes away, and lets others in meanwhile', async (t) => {
  const { client } = await open()
  const stream = await client.chat.completions.create({ model: 'ngram', messages: QUESTION, max_tokens: 8000, stream: true })
  let seen = 0
  for await (const chunk of stream) {
    if (chunk.choices[0]?.delta.content) seen += 1
    if (seen === 10) break
  }
  t.equal(seen, 10)
  const answer = await client.chat.completions.create({ model: 'ngram', messages: QUESTION, max_tokens: 3 })
  t.equal(answer.usage?.completion_tokens, 3)
})
