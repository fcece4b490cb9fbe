import { createHmac } from 'node:crypto'
import { SECRET } from './harness.js'

/** Builds a JWT without a library, so that every part can be invalid. */
export function tokenOf(payload: object | string | Buffer, header: object = { alg: 'HS256', typ: 'JWT' }, secret = SECRET): string {
  const alg = 'alg' in header ? String(header.alg) : ''
  const part = (content: object | string | Buffer) => {
    const bytes = Buffer.isBuffer(content) ? content : Buffer.from(typeof content === 'string' ? content : JSON.stringify(content))
    return bytes.toString('base64url')
  }
  const signed = `${part(header)}.${part(payload)}`
  const hash = { HS256: 'sha256', HS384: 'sha384', HS512: 'sha512' }[alg]
  return `${signed}.${hash ? createHmac(hash, secret).update(signed).digest('base64url') : ''}`
}

/** Invalid tokens by their fault. */
export function badTokens(): Record<string, string> {
  const exp = Math.floor(Date.now() / 1000) + 60
  const good = { sub: 'alice', exp }
  const [header, , signature] = tokenOf(good).split('.')
  const admin = Buffer.from(JSON.stringify({ ...good, role: 'admin' })).toString('base64url')
  return {
    'no JWT': 'garbage',
    'of another secret': tokenOf(good, undefined, 'another secret, of the same length or so 0123'),
    'with a changed payload': `${header}.${admin}.${signature}`,
    'without a signature': tokenOf(good).replace(/[^.]*$/, ''),
    HS384: tokenOf(good, { alg: 'HS384', typ: 'JWT' }),
    HS512: tokenOf(good, { alg: 'HS512', typ: 'JWT' }),
    'alg none': tokenOf(good, { alg: 'none', typ: 'JWT' }),
    'no alg': tokenOf(good, { typ: 'JWT' }),
    'no exp': tokenOf({ sub: 'alice' }),
    'exp as a text': tokenOf({ sub: 'alice', exp: String(exp) }),
    'exp beyond all time': tokenOf({ sub: 'alice', exp: 1e15 }),
    expired: tokenOf({ sub: 'alice', exp: Math.floor(Date.now() / 1000) - 1 }),
    'not valid yet': tokenOf({ ...good, nbf: exp }),
    'no sub': tokenOf({ exp }),
    'an empty sub': tokenOf({ sub: '', exp }),
    'a sub with half a surrogate pair': tokenOf({ sub: 'al\ud800ice', exp }),
    'a sub that is not UTF-8': tokenOf(Buffer.from(JSON.stringify({ sub: 'al\u00ffice', exp }), 'latin1')),
    'sub as a number': tokenOf({ sub: 5, exp }),
    'an unknown role': tokenOf({ ...good, role: 'root' }),
    'claims that are no object': tokenOf('"alice"'),
    'claims that are no JSON': tokenOf('alice'),
  }
}
