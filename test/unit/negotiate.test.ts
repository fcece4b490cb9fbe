import type { FastifyRequest } from 'fastify'
import t from 'tap'
import { wantsEventStream } from '../../src/http/routes/negotiate.js'
import { resumeFrom } from '../../src/http/routes/position.js'

type Head = Pick<FastifyRequest, 'method' | 'headers' | 'query'>

const head = (headers: object = {}, query: object = {}, method = 'GET') => ({ method, headers, query }) as Head

t.test('[SSE-1] a stream for who asks for one, JSON for everybody else', async (t) => {
  const streams = [
    'text/event-stream',
    'TEXT/Event-Stream',
    'text/event-stream; charset=utf-8',
    'text/event-stream, */*',
    'text/event-stream,application/*;q=1',
    'application/json;q=0.9, text/event-stream',
    'application/json;q=0.1, text/event-stream;q=0.2',
    'application/json;q=0, */*',
    'text/*, application/json;q=0.5',
    'text/event-stream;q=0.001',
  ]
  for (const accept of streams) t.ok(wantsEventStream(head({ accept })), accept)
  const pages = [
    '',
    '*/*',
    'application/json',
    'application/json, text/event-stream',
    'text/event-stream, application/json',
    'text/event-stream;q=0',
    'text/event-stream;q=0, */*',
    'text/event-stream;q=0.5, application/json;q=0.6',
    'text/event-stream;q=0.5, */*',
    'text/event-stream;q=2',
    'text/event-stream;q=-1',
    'text/event-stream;q=abc',
    'text/event-stream;q=',
    'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
    'image/png',
    ',;,q=1',
  ]
  for (const accept of pages) t.notOk(wantsEventStream(head({ accept })), accept)
  t.notOk(wantsEventStream(head()))
  t.notOk(wantsEventStream(head({ accept: 'text/event-stream' }, {}, 'HEAD')), 'a HEAD would never end')
})

t.test('[SSE-3] a position comes as Last-Event-ID, as last_event_id, or as after and epoch, in this order', async (t) => {
  const position = { epoch: 'abc.def', seq: 7 }
  t.same(resumeFrom(head({ 'last-event-id': 'abc.def:7' })), position)
  t.same(resumeFrom(head({}, { last_event_id: 'abc.def:7' })), position)
  t.same(resumeFrom(head({}, { after: 7, epoch: 'abc.def' })), position, 'as the route has read it')
  t.same(resumeFrom(head({}, { after: '7', epoch: 'abc.def' })), position)
  t.same(resumeFrom(head({ 'last-event-id': 'abc.def:7' }, { last_event_id: 'x:1', after: 2, epoch: 'y' })), position)
  t.same(resumeFrom(head({}, { last_event_id: 'abc.def:7', after: 2, epoch: 'y' })), position)
  t.same(resumeFrom(head({ 'last-event-id': '' }, { after: 7, epoch: 'abc.def' })), position, 'an empty one is none')
  t.same(resumeFrom(head({ 'last-event-id': 'a:b:0' })), { epoch: 'a:b', seq: 0 })
})

t.test('[SSE-3] what is no position is as good as none', async (t) => {
  for (const id of ['abc', ':', ':7', 'abc:', 'abc:-1', 'abc:1.5', 'abc:1e3', 'abc: 1', 'abc:99999999999999999999', 'abc:0x1']) {
    t.equal(resumeFrom(head({ 'last-event-id': id }, { after: 7, epoch: 'abc' })), null, id)
  }
  for (const query of [{}, { after: 7 }, { epoch: 'abc' }, { after: 7, epoch: ['a', 'b'] }, { last_event_id: ['abc:1', 'abc:2'] }]) {
    t.equal(resumeFrom(head({}, query)), null, JSON.stringify(query))
  }
})
