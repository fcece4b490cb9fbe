import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Browser, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { startChromium } from '../support/chromium.js'
import { HORN, startHarness } from '../support/harness.js'
import { startFastifyHost } from '../support/hosts.js'
import { Stage } from '../support/stage.js'

t.setTimeout(180_000)

/** What the tests ask a page to do: it runs in the browser. */
interface Asked {
  readonly hub: string
  readonly token: string
  readonly input: object
}

/** A page at an origin of its own, with nothing on it. */
async function openPage(t: Test, browser: Browser): Promise<{ page: Page; origin: string }> {
  const site = createServer((_request, response) =>
    response.setHeader('content-type', 'text/html').end('<!doctype html><title>page</title>'),
  )
  site.listen(0, '127.0.0.1')
  await once(site, 'listening')
  t.teardown(() => {
    site.closeAllConnections()
    site.close()
  })
  const origin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`
  const context = await browser.newContext()
  const page = await context.newPage()
  await page.goto(origin)
  return { page, origin }
}

t.test('in Chromium', async (t) => {
  const browser = await startChromium(t)

  t.test('[CORS-1] a page of another origin submits, lists, streams and cancels with a token, and reads what is refused', async (t) => {
    const stage = new Stage()
    const h = await startHarness(t, { processor: stage.processor })
    const { page } = await openPage(t, browser)
    const asked: Asked = { hub: h.nodes[0]?.http ?? '', token: h.token(), input: HORN }
    const seen = await page.evaluate(async ({ hub, token, input }) => {
      const authorization = `Bearer ${token}`
      const submitted = await fetch(`${hub}/api/v2/runs`, {
        method: 'POST',
        headers: { authorization, 'content-type': 'application/json', 'idempotency-key': 'one' },
        body: JSON.stringify({ input }),
      })
      const { run_id: id } = (await submitted.json()) as { run_id: string }
      const listed = await fetch(`${hub}/api/v2/runs`, { headers: { authorization, 'last-event-id': 'x:1' } })
      const refused = await fetch(`${hub}/api/v2/runs`)
      const source = new EventSource(`${hub}/api/v2/runs/${id}/events?token=${token}`)
      const first = await new Promise<string>((resolve) => {
        source.onmessage = ({ data }) => resolve(data)
        source.onerror = () => resolve('error')
      })
      source.close()
      const cancelled = await fetch(`${hub}/api/v2/runs/${id}/cancel?token=${token}`, { method: 'POST' })
      const withCookies = await fetch(`${hub}/api/v2/runs`, { headers: { authorization }, credentials: 'include' }).catch(() => 'blocked')
      return {
        submitted: submitted.status,
        location: submitted.headers.get('location'),
        listed: ((await listed.json()) as { runs: object[] }).runs.length,
        refused: ((await refused.json()) as { error: string }).error,
        first,
        cancelled: cancelled.status,
        withCookies,
      }
    }, asked)
    t.match(seen, {
      submitted: 202,
      location: /^\/api\/v2\/runs\//,
      listed: 1,
      refused: 'unauthenticated',
      cancelled: 202,
      withCookies: 'blocked',
    })
    t.match(JSON.parse(seen.first), { type: 'status', recovered: false })
    t.same(h.faults, [])
  })

  t.test('[CORS-2] with ALLOWED_ORIGINS a page of these sends cookies, another one can do nothing', async (t) => {
    const { page: other } = await openPage(t, browser)
    const { page, origin } = await openPage(t, browser)
    const h = await startHarness(t, { processor: null, env: { ALLOWED_ORIGINS: origin, AUTH_COOKIE: 'token' } })
    const hub = h.nodes[0]?.http ?? ''
    for (const of of [page, other]) await of.context().addCookies([{ name: 'token', value: h.token(), url: hub }])
    const ask = (of: Page) =>
      of.evaluate(
        (hub) =>
          fetch(`${hub}/api/v2/runs`, { credentials: 'include' }).then(
            ({ status }) => status,
            () => 'blocked',
          ),
        hub,
      )
    t.equal(await ask(page), 200)
    t.equal(await ask(other), 'blocked')
    t.same(h.faults, [])
  })

  t.test('[HOST-3] with the cookie of a host, a page of another origin opens no socket and cancels nothing', async (t) => {
    const h = await startHarness(t, { processor: null })
    const host = await startFastifyHost(t, h)
    const id = await h.submit()
    // The cookie of a host goes to all of its ports, so that it comes along from both pages.
    const { page: other } = await openPage(t, browser)
    const own = await other.context().newPage()
    await other.context().addCookies([{ name: 'session', value: 'of-alice', url: host.origin }])
    await own.goto(`${host.origin}/own`)
    const tried = (page: Page) =>
      page.evaluate(
        async ({ hub, id }) => {
          const socket = new WebSocket(`${hub.replace('http', 'ws')}/ws`)
          const opened = await new Promise<string>((resolve) => {
            socket.onmessage = ({ data }) => resolve(JSON.parse(data).type)
            socket.onopen = () => setTimeout(resolve, 2000, 'open')
            socket.onerror = () => resolve('refused')
          })
          const cancel = (init: RequestInit) =>
            fetch(`${hub}/api/v2/runs/${id}/cancel`, { method: 'POST', credentials: 'include', ...init })
          const statusOf = (answer: Promise<Response>) => answer.then(({ status }) => status).catch(() => 'blocked')
          // A simple request: the browser sends it, cookie and all, and hides the answer.
          await cancel({ mode: 'no-cors' }).catch(() => {})
          const read = await statusOf(fetch(`${hub}/api/v2/runs/${id}`, { credentials: 'include' }))
          return { opened, read, cancelled: await statusOf(cancel({})) }
        },
        { hub: host.hub, id },
      )
    t.same(await tried(other), { opened: 'refused', read: 'blocked', cancelled: 'blocked' })
    t.equal((await h.call('GET', `/api/v2/runs/${id}`)).body.status, 'queued')
    t.match(await tried(own), { opened: 'process_list', read: 200 })
    t.equal((await h.call('GET', `/api/v2/runs/${id}`)).body.status, 'cancelled')
    t.same(h.faults, [])
  })

  t.test(
    '[AUTH-4] [HTTP-3] a page of the hub reads, streams and writes by its cookie; /docs shows itself and loads nothing else',
    async (t) => {
      const h = await startHarness(t, { processor: null, env: { ALLOWED_ORIGINS: 'https://app.example', AUTH_COOKIE: 'token' } })
      const hub = h.nodes[0]?.http ?? ''
      const id = await h.submit()
      const context = await browser.newContext()
      await context.addCookies([{ name: 'token', value: h.token(), url: hub }])
      const page = await context.newPage()
      const elsewhere: string[] = []
      const violations: string[] = []
      page.on('request', (request) => !request.url().startsWith(hub) && /^(http|ws)/.test(request.url()) && elsewhere.push(request.url()))
      page.on('console', (message) => /Content Security Policy/.test(message.text()) && violations.push(message.text()))
      await page.goto(`${hub}/docs`)
      t.equal(page.url(), `${hub}/docs/`)
      await page.getByText('Live progress of long-running jobs.').first().waitFor({ timeout: 60_000 })
      // The policy of /docs forbids all requests. This stands for a page that the operator puts on the hub's origin.
      await page.route(`${hub}/page`, (route) => route.fulfill({ contentType: 'text/html', body: '<p>A page.</p>' }))
      await page.goto(`${hub}/page`)
      const seen = await page.evaluate(async (id) => {
        const read = await fetch(`/api/v2/runs/${id}`)
        const source = new EventSource(`/api/v2/runs/${id}/events`)
        const first = await new Promise<string>((resolve) => {
          source.onmessage = ({ data }) => resolve(data)
          source.onerror = () => resolve('error')
        })
        source.close()
        const written = await fetch(`/api/v2/runs/${id}/cancel`, { method: 'POST' })
        return { read: read.status, first, written: written.status }
      }, id)
      t.match(seen, { read: 200, written: 202 })
      t.match(seen.first, '"type":"status"')
      t.same(elsewhere, [])
      t.same(violations, [])
      await context.close()
      t.same(h.faults, [])
    },
  )
})
