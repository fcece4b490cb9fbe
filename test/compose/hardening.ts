import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { containersOf, docker } from './docker.js'
import type { EngineStack } from './engine-stack.js'
import { linesOf } from './shell.js'

/** What an engine alone can show of the containers: who they are, what they may write, what is published. */
export async function hardening(t: Test, stack: EngineStack): Promise<void> {
  for (const unit of await stack.units()) {
    const user = await stack.inspect(unit, '{{.Config.User}}')
    t.match(user, /^[1-9]\d*:[1-9]\d*$/, `${unit} is not root: ${user}`)
    t.equal(await stack.inspect(unit, '{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}}'), 'true [ALL]', unit)
    t.match(await stack.inspect(unit, '{{.HostConfig.SecurityOpt}}'), /no-new-privileges/, unit)
    const write = await stack.exec(unit, 'sh', '-c', 'id -u; touch /written')
    t.match(write.stdout, /^[1-9]/)
    t.match(write.stderr, /Read-only file system/, `${unit} cannot write`)
    t.not(write.code, 0)
  }
  const image = await stack.ofImage('{{json .Config.Healthcheck.Test}} {{json .Config.Cmd}}')
  t.equal(image, '["CMD","node","/app/health.mjs"] ["hub"]', 'the image looks after itself, and is a hub')
  const licences = await stack.exec((await stack.units('hub'))[0] ?? '', 'find', '/app/node_modules', '-iname', 'licen[cs]e*.md')
  t.ok(linesOf(licences.stdout).length >= 5, `licences in Markdown are there: ${linesOf(licences.stdout).length}`)
  for (const service of ['redis', 'solver', 'hub', 'benchmark']) {
    const names = await stack.inspect(
      (await stack.units(service))[0] ?? '',
      '{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}',
    )
    const closed = await docker(stack.engine, ['network', 'inspect', '--format', '{{.Internal}}', ...names.trim().split(' ')])
    t.equal(closed.includes('false'), service === 'hub' || service === 'benchmark', `the way out of ${service}: ${names}`)
  }

  const grace = await stack.inspect((await stack.units('hub'))[0] ?? '', '{{.Config.StopTimeout}}')
  t.equal(grace, '30', 'the stop period is that of the file')

  const [proxy = '', redis = ''] = [...(await stack.units('proxy')), ...(await stack.units('redis'))]
  t.equal((await stack.exec(proxy, 'haproxy', '-c', '-f', '/usr/local/etc/haproxy/haproxy.cfg')).code, 0, 'haproxy finds nothing wrong')
  for (const [setting, value] of [
    ['appendonly', 'yes'],
    ['maxmemory-policy', 'noeviction'],
  ] as const)
    t.equal((await stack.exec(redis, 'redis-cli', 'config', 'get', setting)).stdout.trim().split('\n')[1], value, setting)

  const published = await Promise.all(
    (await stack.units()).map(
      async (unit) => `${await stack.inspect(unit, '{{range $p, $c := .NetworkSettings.Ports}}{{range $c}}{{.HostIp}}{{end}}{{end}}')}`,
    ),
  )
  t.same(
    published.filter((ip) => ip !== ''),
    ['127.0.0.1'],
    'one port is published, on loopback',
  )
  t.equal((await fetch(`${stack.url}/metrics`)).status, 404, 'metrics are on no public port')
  const ports = await containersOf(stack.engine, [`label=com.docker.compose.project=${stack.project}`, 'publish=8501'])
  t.ok(ports.every((name) => name.includes('proxy')))
}

/** The secret and every token are in nothing that an operator sees in passing. */
export async function secrecy(t: Test, stack: EngineStack, tokens: readonly string[]): Promise<void> {
  const secret = readFileSync(join(stack.folder, '.secrets', 'jwt'), 'utf8').trim()
  t.ok(secret.length >= 32)
  const units = await stack.units()
  const inspected = await docker(stack.engine, ['inspect', ...units])
  const history = await docker(stack.engine, ['history', '--no-trunc', linesOf(await stack.inspect(units[0] ?? '', '{{.Image}}'))[0] ?? ''])
  const logs = await stack.logs()
  for (const [name, text] of Object.entries({ inspected, history, logs })) {
    t.ok(text.length > 100, name)
    for (const word of [secret, ...tokens.map((token) => token.split('.')[2] ?? token)]) t.notOk(text.includes(word), `no secret: ${name}`)
  }
}
