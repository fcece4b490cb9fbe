/*
 * node health.mjs: exit code 0 if the process of this container is ready, by its /readyz, else 1 and a line with the
 * reason. Uses METRICS_PORT, or PORT if that is 0 or unset. `node:http`, because it loads three times as fast as
 * `fetch` and this runs every ten seconds.
 */
import { get } from 'node:http'

const { METRICS_PORT, PORT = '8501' } = process.env
const port = Number(METRICS_PORT) || Number(PORT)

function end(code, line) {
  process.stdout.write(`${line}\n`)
  process.exitCode = code
}

const request = get({ host: '127.0.0.1', port, path: '/readyz', agent: false, timeout: 4000 }, (answer) => {
  let body = ''
  answer.setEncoding('utf8')
  answer.on('data', (text) => (body += text))
  answer.on('end', () => end(answer.statusCode === 200 ? 0 : 1, body))
})
request.on('timeout', () => request.destroy(new Error('no answer within 4 s')))
request.on('error', (error) => end(1, error.message))
