import t from 'tap'
import { readEnvelope } from '../../src/storage/envelope.js'

t.test('the head is read, and every byte after its newline is the body', async (t) => {
  const body = Buffer.from([0x7b, 0x0a, 0xff, 0x00, 0x20, 0x0a, 0x7d])
  const envelope = Buffer.concat([Buffer.from('gen-1 42 d a retrying status\n'), body])
  const { body: read, ...head } = readEnvelope('job', envelope)
  t.same(head, { id: 'job', generation: 'gen-1', seq: 42, class: 'persisted', key: 'status', to: 'retrying', clears: 'attempt' })
  t.ok(read.equals(body))
})

t.test('classes and clears have one letter each; a dash is none', async (t) => {
  const head = (text: string) => {
    const { body: _body, id: _id, generation: _generation, seq: _seq, ...rest } = readEnvelope('job', Buffer.from(`${text}\n{}`))
    return rest
  }
  t.same(head('g 1 t - - progress'), { class: 'transient', key: 'progress' })
  t.same(head('g 1 d - - metric:a'), { class: 'persisted', key: 'metric:a' })
  t.same(head('g 1 f - completed final'), { class: 'final', key: 'final', to: 'completed' })
  t.same(head('g 1 d r queued status'), { class: 'persisted', key: 'status', to: 'queued', clears: 'round' })
})

t.test('what is no entry is an error that names the job', async (t) => {
  for (const text of ['', '{}', 'g 1 d - - status', 'g 1 x - - status\n{}', 'g 1 d - -\n{}', 'g 1\n{}', '\n']) {
    t.throws(() => readEnvelope('job-7', Buffer.from(text)), { name: 'TypeError', message: /job-7/ }, JSON.stringify(text))
  }
})
