import t from 'tap'
import { JobFailure } from '../../src/worker/processor.js'
import { type Line, LineSplitter } from '../../src/worker/program/line-splitter.js'
import { faultOfLongLine, type ProgramEvent, readLine } from '../../src/worker/program/program-event.js'

function split(maxBytes: number, ...chunks: (string | Buffer)[]): Line[] {
  const splitter = new LineSplitter(maxBytes)
  return [...chunks.flatMap((chunk) => [...splitter.push(Buffer.from(chunk))]), ...splitter.rest()]
}

const read = (line: string, number = 1) => [...readLine(line, number)]

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

t.test('[SOLVER-4] a long line costs linear time, whatever it holds', async (t) => {
  const long = (piece: string, bytes = 300_000) => piece.repeat(bytes / piece.length)
  const object = '{"type":"progress"}'
  const cases: [line: string, count: number][] = [
    [`{"${long('\\"')}`, 1],
    [`{"type${long('\\"')}\\`, 1],
    [`${long(object)}x`, Math.floor(300_000 / object.length) + 1],
    [`${long('{}')}${object}x`, 150_002],
    [long('{'), 1],
    [long('{\r'), 150_000],
    [`{"type":"progress"${long('NaN,')}`, 1],
    [`{"type"${long(' ')}`, 1],
  ]
  const { user } = process.cpuUsage()
  for (const [line, count] of cases) t.equal(read(line).length, count, line.slice(0, 20))
  // Minutes where one of them is quadratic.
  t.ok(process.cpuUsage().user - user < 10_000_000)
})

t.test('[SOLVER-3] the events, with what may be left out', async (t) => {
  const cases: [line: object, event: ProgramEvent][] = [
    [
      { type: 'progress', percent: 3 },
      { type: 'progress', percent: 3 },
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
      { type: 'failed', error: 'x' },
      { type: 'failed', error: 'x' },
    ],
    [
      { type: 'failed', error: 'x', code: 'bad_csv', retry: false, retry_delay_ms: 5 },
      { type: 'failed', error: 'x', code: 'bad_csv', retry: false, retry_delay_ms: 5 },
    ],
    [
      { type: 'completed', metrics_summary: { a: 1 } },
      { type: 'completed', metrics_summary: { a: 1 } },
    ],
  ]
  for (const [line, event] of cases) {
    t.same(read(JSON.stringify(line)), [{ event }])
    t.match(read(`  ${JSON.stringify({ ...line, more: 1 })} `), [{ event }], 'with fields that nobody knows')
  }
})

t.test('[SOLVER-3] everything else is log', async (t) => {
  const texts = ['', 'text', '12', '"progress"', '[{"type":"progress"}]', 'null', '{}', '{"type":"progress"', '{"type":"toString"}']
  for (const text of [...texts, '{"type":["progress"]}', '{"type":"status"}', '{ broken', '{"type":"status"} and more', 'NaN'])
    t.same(read(text), [{ log: text }], text)
})

t.test('[SOLVER-3] what is an event by its type and not valid fails the run, with the path of each fault', async (t) => {
  const cases: [line: string, ...paths: string[]][] = [
    ['{"type":"metric_update","metric_name":"a\\nb","value":null}', '/metric_name', '/value: expected of type number, not null', '/unit'],
    ['{"type":"metric_update","metric_name":"a","value":1e999,"unit":""}', '/value: expected of type number, not Infinity'],
    ['{"type":"failed","error":"x","retry_delay_ms":86400001}', '/retry_delay_ms: expected <= 86400000, not 86400001'],
    ['{"type":"failed","error":"x","code":"worker_lost"}', '/code: expected a code that a worker can report'],
    ['{"type":"completed"}', '/metrics_summary: expected to be present'],
    ['{"type":"completed","metrics_summary":{"a":"1"}}', '/metrics_summary/a: expected of type number, not "1"'],
    ['{"type":"completed","metrics_summary":{"NaN":1,"b":NaN}}', '/metrics_summary/b: expected of type number, not NaN'],
    ['{"metrics_summary":{"a":-Infinity},"type" : "completed"}', '/metrics_summary/a: expected of type number, not -Infinity'],
    ['{"type":"completed","metrics_summary":{"a":1', ' in JSON at position 44'],
    ['{"type":"completed","metrics_summary":{"a":oops}}', "Unexpected token 'o'"],
    [[...'{"type":"completed"}'].join('\0'), 'it looks like UTF-16'],
  ]
  for (const [line, ...parts] of cases) {
    const fault = t.throws(() => read(line, 7), { code: 'solver_error', message: /^Line 7 of stdout is a \w+ that is not valid: / })
    t.ok(fault instanceof JobFailure)
    for (const part of parts) t.ok((fault as Error).message.includes(part), (fault as Error).message)
  }
  t.match(faultOfLongLine('{"type":"completed","metrics_summary":{"a":', 7, 100), { message: /Line 7 .* longer than 100 bytes/ })
  t.equal(faultOfLongLine('{"type":"progress","message":"x', 7, 100), null)
})

t.test('[SOLVER-3] a progress never fails a run, whatever it holds', async (t) => {
  for (const fields of ['', ',"percent":"50"', ',"percent":1e999', ',"percent":NaN', ',"phase":"resting"', ',"message":null'])
    t.match(read(`{"type":"progress"${fields}}`), [{ event: { type: 'progress' } }], fields)
  t.match(read('{"type":"progress","percent":5'), [{ log: /^{/ }], 'one that cannot be read is log')
})

t.test('[SOLVER-3] byte order marks, bars before a carriage return and several objects on a line are understood', async (t) => {
  const metric = '{"type":"metric_update","metric_name":"a","value":1,"unit":"}{"}'
  const event = { type: 'metric_update', metric_name: 'a', value: 1 }
  const cases: [line: string, said: object[]][] = [
    [`\uFEFF${metric}`, [{ event }]],
    [` 10 %\r 20 %\r${metric}`, [{ event }]],
    [`${metric}\r 20 %\r 30 %`, [{ event }, { log: ' 30 %' }]],
    [`${metric}${metric}`, [{ event }, { event }]],
    [`${metric} {"type":"status"} text`, [{ event }, { log: / {"type":"status"} text/ }]],
    [`{"type":"progress","percent":NaN}${metric}`, [{ event: { type: 'progress' } }, { event }]],
  ]
  for (const [line, said] of cases) t.match(read(line), said, line)
  t.equal(read(`${metric}${metric}`).length, 2)
})
