import t from 'tap'
import { lineJson, loggedOf, logLines, MAX_LINE_BYTES } from '../../src/core/log-line.js'
import { LogBuffer } from '../../src/worker/log-buffer.js'

const textsOf = (text: string) => logLines(text).map((line) => line.text)

t.test('[LOG-1] a text is split into lines, and of a progress bar the last state counts', async (t) => {
  t.same(textsOf('one'), ['one'])
  t.same(textsOf('one\r\ntwo\n\nfour\n'), ['one', 'two', '', 'four'])
  t.same(textsOf('10 %\r50 %\r100 %\r'), ['100 %'])
  t.same(textsOf(''), [''])
})

t.test('[LOG-1] a line is cut between characters', async (t) => {
  for (const [character, extra] of [
    ['x', 1],
    ['ö', 1],
    ['😀', 1],
    ['x', -MAX_LINE_BYTES],
  ] as const) {
    const text = character.repeat(MAX_LINE_BYTES / Buffer.byteLength(character) + extra)
    const [cut = ''] = textsOf(text)
    t.ok(Buffer.byteLength(cut) <= MAX_LINE_BYTES)
    if (extra > 0) t.ok(cut.endsWith(`${character}…`) && Buffer.byteLength(cut) > MAX_LINE_BYTES - 8)
  }
  const [exact] = textsOf('x'.repeat(MAX_LINE_BYTES))
  t.equal(exact, 'x'.repeat(MAX_LINE_BYTES))
})

t.test('[LOG-1] level, attempt and any value', async (t) => {
  t.match(logLines('text', { level: 'warn', attempt: 2 }), [{ level: 'warn', text: 'text', attempt: 2, timestamp: /Z$/ }])
  t.notOk('attempt' in (logLines('text')[0] ?? {}))
  const text = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value))
  t.same(loggedOf({ level: 'error', message: 'm' }, text), { level: 'error', text: 'm' })
  t.same(loggedOf({ level: 'loud', message: 'm' }, text), { text: 'm' })
  t.same(loggedOf([1], text), { text: '[1]' })
  t.equal(JSON.parse(lineJson({ text: '\u009b\u202e\u007f"', timestamp: '' })).text, '\u009b\u202e\u007f"')
})

t.test('[LOG-2] a buffer holds what the log would keep, and counts the rest', async (t) => {
  const buffer = new LogBuffer({ maxLogLines: 1200, maxLogBytes: 100_000 })
  for (let i = 1; i <= 5000; i += 1) buffer.add(`${i}`)
  const first = buffer.take()
  t.equal(first?.skipped, 3800)
  t.equal(first?.lines[0], '3801')
  buffer.add('later')
  const rest: string[] = []
  for (let part = buffer.take(); part; part = buffer.take()) rest.push(...part.lines)
  t.same([first?.lines.length, rest.length, rest.at(-1)], [500, 700, '5000'])
  t.ok(buffer.dueInMs > 0, 'what was added meanwhile waits')
  t.equal(buffer.take(), null)
  buffer.flushNow()
  t.same(buffer.take(), { reducer: 'append', skipped: 0, lines: ['later'] })
  buffer.add('x'.repeat(99_999))
  buffer.add('y'.repeat(99_999))
  buffer.flushNow()
  t.same(
    buffer.take()?.lines.map((line) => line.length),
    [99_999],
  )
  t.equal(buffer.take(), null)
  t.ok(buffer.dueInMs > 100, 'a large write is followed by a longer pause')
})
