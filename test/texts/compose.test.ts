import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { parse } from 'yaml'
import { SETTINGS } from '../../src/config/config.js'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')

interface Service {
  readonly image: string
  readonly build?: string
  readonly command?: readonly string[]
  readonly entrypoint?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly ports?: readonly string[]
  readonly networks?: readonly string[]
  readonly healthcheck?: { readonly test?: readonly string[] }
  readonly profiles?: readonly string[]
  readonly secrets?: readonly string[]
  readonly read_only?: boolean
  readonly cap_drop?: readonly string[]
  readonly security_opt?: readonly string[]
  readonly restart?: string
  readonly mem_limit?: string
  readonly pids_limit?: number
  readonly logging?: { readonly options: Readonly<Record<string, string>> }
  readonly stop_grace_period?: string
  readonly user?: string
  readonly volumes?: readonly string[]
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
  readonly cap_add?: readonly string[]
  readonly network_mode?: string
}

interface File {
  readonly services: Readonly<Record<string, Service>>
  readonly networks: Readonly<Record<string, { internal?: boolean; ipam?: { config: readonly { subnet: string }[] } } | null>>
  readonly volumes: Readonly<Record<string, unknown>>
}

const file: File = parse(read('docker-compose.yml'), {
  merge: true,
})
const dockerfile = read('Dockerfile')
const haproxy = read('deploy/haproxy/haproxy.cfg')
/** Those that stay up. */
const services = Object.entries(file.services).filter(([, { profiles }]) => !profiles)
const ours = services.filter(([, { image }]) => image.includes('RUNCAST_IMAGE'))
const imageEnv = Object.fromEntries(
  [...(/^ENV (.*)$/m.exec(dockerfile)?.[1] ?? '').matchAll(/(\w+)=(\S+)/g)].map(([, name, value]) => [name, value]),
)

/** The value that a service runs with: its own, the image's, or the default. */
function settingOf({ environment = {} }: Service, name: keyof typeof SETTINGS): number {
  return Number(environment[name] ?? imageEnv[name] ?? SETTINGS[name].fallback)
}

function msOf(text: string): number {
  const [, number, unit = ''] = /^(\d+)(ms|s|m|h)$/.exec(text) ?? []
  return Number(number) * ({ ms: 1, s: 1000, m: 60_000, h: 3600_000 }[unit] ?? Number.NaN)
}

t.test('every name in the environment is a setting, in the compose file and in the image', async (t) => {
  for (const [name, { environment = {} }] of services)
    for (const [key, value] of Object.entries(environment)) {
      t.ok(key in SETTINGS, `${name}: ${key}`)
      const setting = SETTINGS[key as keyof typeof SETTINGS]
      if (!value.includes('$')) t.doesNotThrow(() => setting?.read(value), `${name}: ${key}=${value}`)
    }
  for (const key of Object.keys(imageEnv)) t.ok(key in SETTINGS || ['NODE_ENV', 'RUNCAST_NO_INSTALL'].includes(key), key)
  t.match(imageEnv, { HOST: '0.0.0.0', PORT: '8501', METRICS_PORT: '9501', NODE_ENV: 'production' })
})

t.test('nobody is stopped by force before it can have ended by itself', async (t) => {
  for (const [name, service] of ours) {
    const grace = msOf(service.stop_grace_period ?? '10s')
    const [command] = service.command ?? []
    const worker = settingOf(service, 'WORKER_FINISH_MS') + settingOf(service, 'CANCEL_GRACE_MS') + 15_000
    const least = command === 'hub' ? settingOf(service, 'DRAIN_MS') + 10_000 : worker
    t.ok(grace > least, `${name}: ${grace} > ${least}`)
  }
  t.ok(msOf(file.services.redis?.stop_grace_period ?? '') >= 60_000, 'Redis writes its file')
})

t.test('every service is closed, bounded and looked after', async (t) => {
  t.same(services.map(([name]) => name).toSorted(), ['benchmark', 'hub', 'proxy', 'redis', 'solver'])
  for (const [name, service] of services) {
    t.equal(service.read_only, true, name)
    t.same(service.cap_drop, ['ALL'], name)
    t.same(service.security_opt, ['no-new-privileges:true'], name)
    t.equal(service.restart, 'unless-stopped', name)
    t.ok(service.healthcheck?.test, name)
    t.ok(service.mem_limit && service.pids_limit, name)
    t.ok(service.logging?.options['max-size'] && service.logging.options['max-file'], name)
    t.match(service.user ?? /USER (\S+)/.exec(dockerfile)?.[1], /^[1-9]\d*:[1-9]\d*$/, name)
  }
})

t.test('the load balancer alone is published, and Redis is on a network without a way out', async (t) => {
  t.same(
    services.filter(([, { ports }]) => ports).map(([name]) => name),
    ['proxy'],
  )
  t.same(file.services.proxy?.ports, [`\${RUNCAST_BIND:-127.0.0.1}:\${RUNCAST_PORT:-8501}:8501`])
  t.same(Object.fromEntries(services.map(([name, { networks }]) => [name, networks])), {
    proxy: ['edge'],
    hub: ['edge', 'data'],
    solver: ['data'],
    benchmark: ['data', 'outside'],
    redis: ['data'],
  })
  t.same(
    Object.entries(file.networks).filter(([, network]) => network?.internal),
    [['data', { internal: true }]],
  )
  const [, first, second] = /^(\d+)\.(\d+)\./.exec(/-(.*)\}/.exec(file.networks.edge?.ipam?.config[0]?.subnet ?? '')?.[1] ?? '') ?? []
  t.equal(first, '10', 'not in the pools of Docker, nor where AWS has its own')
  t.ok(second)
  const networks = [...read('docker-compose.yml').matchAll(/\d+\.\d+\.\d+\.0\/\d+/g)].map(([network]) => network)
  t.equal(new Set(networks).size, 1, 'hubs believe the network that there is')
  t.same(
    services.filter(([, { secrets }]) => secrets).map(([name]) => name),
    ['hub'],
    'a worker, and what it runs, has no secret',
  )
})

t.test('the load balancer keeps silent connections, sends no POST twice, and lets a hub that stops keep its clients', async (t) => {
  for (const name of ['client', 'server', 'tunnel']) {
    const [, timeout = ''] = new RegExp(`timeout ${name} (\\S+)`).exec(haproxy) ?? []
    t.ok(msOf(timeout) > 2 * Number(SETTINGS.PING_INTERVAL_MS.fallback), `timeout ${name} ${timeout}`)
  }
  t.match(haproxy, /^ {2}retry-on conn-failure$/m)
  t.match(haproxy, /^ {2}retries [1-9]$/m)
  t.match(haproxy, /^ {2}option redispatch 1$/m, 'each on another hub')
  for (const hold of ['valid 1s', 'nx 5s', 'obsolete 2s', 'timeout 30s', 'refused 30s', 'other 30s'])
    t.match(haproxy, new RegExp(`^ {2}hold ${hold}$`, 'm'))
  const [, hardStop = ''] = /hard-stop-after (\S+)/.exec(haproxy) ?? []
  t.ok(msOf(hardStop) >= 3_600_000, 'a reload leaves what is open to the old process')
  t.match(haproxy, /^ {2}mworker-max-reloads \d+$/m, 'but not without end')
  const [, threads = ''] = /^ {2}nbthread (\d+)$/m.exec(haproxy) ?? []
  t.ok(Number(threads) > 0)
  const [, reloads = ''] = /mworker-max-reloads (\d+)/.exec(haproxy) ?? []
  t.ok((Number(threads) + 1) * (Number(reloads) + 2) < (file.services.proxy?.pids_limit ?? 0), 'threads of all of them have a place')
  t.notMatch(haproxy, /on-marked-down|http-buffer-request|option httplog/)
  t.match(haproxy, /uri \/readyz/)
  t.match(haproxy, /balance leastconn/)
  t.match(haproxy, /server-template hub \d+ hub:8501/)
  t.match(haproxy, /set-header X-Forwarded-For %\[src\]/)
  t.ok(file.services.hub?.environment?.TRUSTED_PROXIES?.includes('RUNCAST_SUBNET'))
})

t.test('Redis keeps its data when its container is removed, and nobody starts before what it needs is healthy', async (t) => {
  t.same(file.services.redis?.volumes, ['redis:/data'])
  t.ok('redis' in file.volumes)
  t.match(file.services.redis?.command?.join(' '), /--appendonly yes .*--dir \/data/)
  const healthy = (name: string) => ({ [name]: { condition: 'service_healthy' } })
  for (const [name, { depends_on }] of ours) t.same(depends_on, healthy('redis'), name)
  t.same(file.services.proxy?.depends_on, healthy('hub'))
})

t.test('one service builds the image that all of ours use', async (t) => {
  const builders = Object.entries(file.services).filter(([, { build }]) => build)
  t.same(
    builders.map(([name]) => name),
    ['hub'],
  )
  t.notOk(
    builders.some(([, { profiles }]) => profiles),
    'docker compose build builds it',
  )
  for (const [name, { image }] of [...ours, ['secret', file.services.secret] as const].map(
    ([name, service]) => [name, { image: service?.image }] as const,
  ))
    t.equal(image, `\${RUNCAST_IMAGE:-runcast}`, name)
})

t.test('what makes the secret has three rights and no network', async (t) => {
  const { secret } = file.services
  t.match(secret, { cap_drop: ['ALL'], cap_add: ['CHOWN', 'DAC_OVERRIDE', 'FOWNER'], network_mode: 'none', restart: 'no' })
  for (const [name, { cap_add }] of services) t.notOk(cap_add, name)
})

t.test('the image runs the command as another user than root, under an init that hands signals on', async (t) => {
  t.match(dockerfile, /^USER 10001:10001$/m)
  const [, line = '[]'] = /^ENTRYPOINT (.*)$/m.exec(dockerfile) ?? []
  const [init, , , main = ''] = JSON.parse(line)
  t.equal(init, 'tini')
  t.ok(existsSync(join(ROOT, main.replace('/app/', ''))), main)
  t.match(dockerfile, /^STOPSIGNAL SIGTERM$/m)
  t.match(dockerfile, /^CMD \["hub"\]$/m)
  t.match(dockerfile, /^HEALTHCHECK --interval=\d+s .*CMD \["node", "\/app\/health\.mjs"\]$/m)
  t.match(dockerfile, /! -iname 'licen\[cs\]e\*'/, 'licences in Markdown stay')
  t.match(dockerfile, /npm ci/)
  t.equal((dockerfile.match(/^FROM/gm) ?? []).length, 2)
  t.notMatch(dockerfile, /--mount|COPY --link|COPY --chmod|<<EOF|# syntax=/, 'the classic builder knows it all')
})

t.test('the health check of the image follows /readyz on METRICS_PORT, and on PORT without one', async (t) => {
  let status = 200
  const asked: (string | undefined)[] = []
  const server = createServer((request, response) => {
    asked.push(request.url)
    response.writeHead(status).end('{"status":"…"}')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo // it listens on a port
  const check = (env: Record<string, string>) => exitCodeOf('deploy/image/health.mjs', [], env)
  t.equal(await check({ METRICS_PORT: `${port}`, PORT: '1' }), 0)
  t.equal(await check({ METRICS_PORT: '0', PORT: `${port}` }), 0)
  status = 503
  t.equal(await check({ METRICS_PORT: `${port}` }), 1)
  t.equal(await check({ METRICS_PORT: '1' }), 1, 'nobody listens')
  t.same(asked, ['/readyz', '/readyz', '/readyz'])
})

t.test('the secret is made once, in a folder closed to others, and never changed', async (t) => {
  const folder = join(t.testdir({}), 'secrets')
  t.equal(await exitCodeOf('deploy/image/secret.mjs', [folder]), 0)
  const secret = readFileSync(join(folder, 'jwt'), 'utf8')
  t.doesNotThrow(() => SETTINGS.JWT_SECRET.read(secret.trim()))
  t.equal(statSync(folder).mode & 0o777, 0o700)
  t.equal(statSync(join(folder, 'jwt')).mode & 0o777, 0o444)
  t.equal(await exitCodeOf('deploy/image/secret.mjs', [folder]), 0)
  t.equal(readFileSync(join(folder, 'jwt'), 'utf8'), secret)
  t.match(read('.gitignore'), /^\.secrets\/$/m)
  t.match(read('.dockerignore'), /^\*$/m, 'nothing gets into the image but what is named')
})

t.test('what the load balancer reads is opened, keys beside it are not, and the secret belongs to whoever has the clone', async (t) => {
  const [folder, shared] = [join(t.testdir({}), 'secrets'), join(t.testdir({}), 'haproxy')]
  mkdirSync(shared)
  for (const name of ['haproxy.cfg', 'site.pem']) writeFileSync(join(shared, name), '', { mode: 0o600 })
  chmodSync(shared, 0o700)
  const isRoot = process.getuid?.() === 0
  if (isRoot) chownSync(shared, 12_345, 12_346)
  t.equal(await exitCodeOf('deploy/image/secret.mjs', [folder, shared]), 0)
  const modes = ['', 'haproxy.cfg', 'site.pem'].map((name) => statSync(join(shared, name)).mode & 0o777)
  t.same(modes, [0o755, 0o644, 0o600])
  for (const path of [folder, join(folder, 'jwt')]) {
    const { uid, gid } = statSync(path)
    if (isRoot) t.same([uid, gid], [12_345, 12_346], path)
  }
})

t.test('a folder that cannot be changed is one line, without a stack', async (t) => {
  const file = join(t.testdir({ file: '' }), 'file')
  const child = spawn(process.execPath, [join(ROOT, 'deploy/image/secret.mjs'), file])
  let said = ''
  child.stderr.on('data', (data: Buffer) => (said += data))
  const [code] = await once(child, 'close')
  t.equal(code, 1)
  t.match(said, /^No secret can be kept in .*\n$/)
  t.equal(said.trim().split('\n').length, 1)
})

async function exitCodeOf(script: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<number | null> {
  const child = spawn(process.execPath, [join(ROOT, script), ...args], { env, stdio: 'ignore' })
  const [code] = await once(child, 'exit')
  return code
}
