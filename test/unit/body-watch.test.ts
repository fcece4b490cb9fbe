import t from 'tap'
import { BodyWatch, DEFAULT_BODY_LIMITS } from '../../src/http/plugins/body-watch.js'

const LIMITS = { ...DEFAULT_BODY_LIMITS, unauthenticatedMs: 5000, stallMs: 10_000, graceMs: 10_000, minBytesPerSecond: 1000 }

/** A watch on a clock that is turned by hand, and a body whose bytes come by hand. */
function watchBody({ isAuthenticated = true } = {}) {
  const state = { at: 0, bytes: 300, isOver: false, isAuthenticated, ended: 0 }
  const watch = new BodyWatch(LIMITS, () => state.at)
  watch.add({
    isOver: () => state.isOver,
    isAuthenticated: () => state.isAuthenticated,
    bytesRead: () => state.bytes,
    end: () => {
      state.ended += 1
    },
  })
  /** After so many ms, in which so many bytes came. */
  const pass = (ms: number, bytes: number) => {
    state.at += ms
    state.bytes += bytes
    watch.check()
    return state.ended
  }
  return { state, watch, pass }
}

t.test('[HTTP-1] a body without a token is ended after 5 s, however fast it comes', async (t) => {
  const { watch, pass } = watchBody({ isAuthenticated: false })
  t.same([pass(4999, 1_000_000), pass(1, 1_000_000)], [0, 1])
  t.equal(watch.size, 0)
})

t.test('[HTTP-1] a body of which nothing comes for 10 s is ended', async (t) => {
  const { pass } = watchBody()
  t.same([pass(5000, 50_000), pass(9999, 0), pass(1, 0)], [0, 0, 1])
})

t.test('[HTTP-1] a body that drips is ended once it has had 10 s', async (t) => {
  const { pass } = watchBody()
  t.same([pass(5000, 1), pass(5000, 1), pass(1000, 1)], [0, 0, 1])
})

t.test('[HTTP-1] a large body that comes fast enough may take an hour', async (t) => {
  const { state, watch, pass } = watchBody()
  for (let second = 0; second < 3600; second += 5) t.equal(pass(5000, 5001), 0)
  state.isOver = true
  t.equal(pass(60_000, 0), 0)
  t.equal(watch.size, 0)
})
