import { PassThrough } from 'node:stream'
import t from 'tap'
import { BarLine } from '../../src/cli/bar-line.js'

/** What a bar has written to a terminal of 40 columns, or to a file. */
function lineTo(isTTY: boolean) {
  const stream = Object.assign(new PassThrough(), { isTTY, columns: 40 })
  const line = new BarLine(stream as unknown as NodeJS.WriteStream) // the members that it uses
  return { line, written: () => String(stream.read() ?? '') }
}

t.test('in a terminal the bar moves in place, no wider than the terminal, and lines stay above it', async (t) => {
  const { line, written } = lineTo(true)
  line.bar({ percent: 50, label: 'solving', text: 'a text that is longer than the terminal' })
  t.equal(written(), '\r\u001b[K██████████░░░░░░░░░░  50.0 %  solving   ')
  line.line('  running')
  t.equal(written(), '\r\u001b[K  running\n██████████░░░░░░░░░░  50.0 %  solving   ')
  line.end()
  line.end()
  t.equal(written(), '\n', 'once')
})

t.test('elsewhere each is a line, without a control character', async (t) => {
  const { line, written } = lineTo(false)
  line.bar({ percent: 100, label: '', text: 'Run 1' })
  line.line('  running')
  line.end()
  t.equal(written(), '████████████████████ 100.0 %                 Run 1\n  running\n')
})
