import t from 'tap'
import { type Line, LineSplitter } from '../../workers/command/line-splitter.js'
import { type ProgramEvent, programEvent } from '../../workers/command/program-event.js'
import { JobFailure } from '../../workers/processor.js'

function split(maxBytes: number, ...chunks: (string | Buffer)[]): Line[] {
  const splitter = new LineSplitter(maxBytes)
  return [...chunks.flatMap((chunk) => [...splitter.push(Buffer.from(chunk))]), ...splitter.rest()]
}

const whole = (...texts: string[]) => texts.map((text) => ({ text, isWhole: true }))

t.test('[SOLVER-4] lines are found wherever the bytes are cut, also within a character', async (t) => {
  t.same(split(100, 'a\nb', 'c\r\n\n', 'last'), whole('a', 'bc', '', 'last'))
  t.same(split(100, 'a\n'), whole('a'), 'nothing after the last end is no line')
  const bytes = Buffer.from('größe → 1\nµ\n')
  for (let at = 1; at < bytes.length; at += 1)
    t.same(split(100, bytes.subarray(0, at), bytes.subarray(at)), whole('größe → 1', 'µ'), `cut at ${at}`)
})

t.test('[SOLVER-4] a line that is too long is cut, whatever it comes in, and the next one is whole again', async (t) => {
  const expected = [{ text: 'abc', isWhole: false }, ...whole('abc', 'x')]
  t.same(split(3, 'abcdef\nabc\nx\n'), expected)
  t.same(split(3, ...'abcdef\nabc\nx\n'), expected)
  t.same(split(3, 'abcd'), [{ text: 'abc', isWhole: false }], 'also the last one')
})

t.test('[SOLVER-3] the three events, with what may be left out', async (t) => {
  const cases: [line: object, event: ProgramEvent][] = [
    [
      { type: 'progress', percent: 3 },
      { type: 'progress', percent: 3, phase: 'solving', message: '' },
    ],
    [
      { type: 'progress', percent: 300, phase: 'meshing', message: 'm' },
      { type: 'progress', percent: 300, phase: 'meshing', message: 'm' },
    ],
    [
      { type: 'metric_update', metric_name: 'f_1', value: -1e300, unit: '' },
      { type: 'metric_update', metric_name: 'f_1', value: -1e300, unit: '' },
    ],
    [
      { type: 'completed', metrics_summary: { a: 1 } },
      { type: 'completed', metrics_summary: { a: 1 } },
    ],
  ]
  for (const [line, event] of cases) {
    t.same(programEvent(JSON.stringify(line)), event)
    t.match(programEvent(`  ${JSON.stringify({ ...line, more: 1 })} `), event, 'with fields that nobody knows')
  }
})

t.test('[SOLVER-3] everything else is log', async (t) => {
  const texts = ['', 'text', '12', '"progress"', '[{"type":"progress"}]', 'null', '{}', '{"type":"progress"', '{"type":"toString"}']
  for (const text of [...texts, '{"type":["progress"]}', '{"type":"status"}', '{"type":"completed","value":NaN}'])
    t.equal(programEvent(text), null, text)
})

t.test('[SOLVER-3] what is an event by its type and not valid fails the run, with the path of each fault', async (t) => {
  const cases: [line: string, ...paths: string[]][] = [
    ['{"type":"progress"}', '/percent'],
    ['{"type":"progress","percent":"50"}', '/percent'],
    ['{"type":"progress","percent":1e999}', '/percent'],
    ['{"type":"progress","percent":1,"phase":"resting"}', '/phase'],
    [JSON.stringify({ type: 'progress', percent: 1, message: 'x'.repeat(1001) }), '/message'],
    ['{"type":"metric_update","metric_name":"Hz","value":null}', '/metric_name', '/value', '/unit'],
    ['{"type":"completed"}', '/metrics_summary'],
    ['{"type":"completed","metrics_summary":{"a":"1"}}', '/metrics_summary/a'],
  ]
  for (const [line, ...paths] of cases) {
    const fault = t.throws(() => programEvent(line), { code: 'solver_error' })
    t.ok(fault instanceof JobFailure)
    for (const path of paths) t.match(fault, { message: `${path}: expected ` }, line.slice(0, 80))
  }
})
