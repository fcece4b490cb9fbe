import t from 'tap'
import { hostInUrl } from '../../src/embedded/stack.js'

t.test('a host to listen on as a URL has it: IPv6 in brackets, all addresses as the one of this machine', async (t) => {
  const cases = {
    '127.0.0.1': '127.0.0.1',
    localhost: 'localhost',
    '0.0.0.0': '0.0.0.0',
    '::1': '[::1]',
    '::': '[::1]',
    'fe80::1': '[fe80::1]',
  }
  for (const [host, expected] of Object.entries(cases)) {
    t.equal(hostInUrl(host), expected)
    t.ok(URL.canParse(`http://${hostInUrl(host)}:8501`))
  }
})
