import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import type { Test } from 'tap'

export interface SigningKey {
  readonly kid: string
  readonly alg: string
  /** The public key as a JWK. */
  readonly jwk: object
  readonly pem: string
  /** A token signed with this key. `header` adds or, with undefined, removes fields of its header. */
  sign(claims: object, header?: object): Promise<string>
}

/** A key pair for RS256, ES256 or EdDSA. */
export async function newKey(alg: string, kid: string): Promise<SigningKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  const jwk = { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' }
  const pem = Buffer.from(await crypto.subtle.exportKey('spki', publicKey)).toString('base64')
  return {
    kid,
    alg,
    jwk,
    pem: `-----BEGIN PUBLIC KEY-----\n${pem.match(/.{1,64}/g)?.join('\n')}\n-----END PUBLIC KEY-----\n`,
    sign: (claims, header = {}) => new SignJWT({ ...claims }).setProtectedHeader({ alg, kid, ...header }).sign(privateKey),
  }
}

/** A real HTTP server of a JWK Set, whose keys a test can change. */
export interface KeyServer {
  readonly url: string
  keys: readonly SigningKey[]
  /** Number of requests so far. */
  readonly requests: number
  /** Replaces the normal answer. */
  answer: { status: number; body: string } | null
  close(): Promise<void>
}

export async function startKeyServer(t: Test, keys: readonly SigningKey[]): Promise<KeyServer> {
  const state = { keys, answer: null as KeyServer['answer'], requests: 0 }
  const server = createServer((_request, response) => {
    state.requests += 1
    response.writeHead(state.answer?.status ?? 200, { 'content-type': 'application/json' })
    response.end(state.answer?.body ?? JSON.stringify({ keys: state.keys.map(({ jwk }) => jwk) }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = async () => {
    server.closeAllConnections()
    server.close()
  }
  t.teardown(close)
  return Object.assign(state, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`, close })
}
