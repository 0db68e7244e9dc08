/** Tokens name a caller: JSON Web Tokens signed by the host that issued them, in the form go-threads clients know. */
import { base64url } from 'multiformats/bases/base64'
import { BoundedCache } from './bounded-cache.ts'
import { textOfUtf8, utf8 } from './bytes.ts'
import { ThreadsError } from './errors.ts'
import { type Identity, identityOf, parseIdentity } from './identity.ts'
import type { PrivateKey, PublicKey } from './keys.ts'
import { decodeBase64Url } from './multibase.ts'

const HEADER = base64UrlText('{"alg":"Ed25519","typ":"JWT"}')
/** Longest token read. Those issued to Ed25519 identities have about 380 characters. */
const MAX_TOKEN_LENGTH = 16384

interface Claims {
  iat: number
  nbf: number
  exp: number
  sub: string
}

/** A token that names `subject`. It never expires and is valid on the host whose key signs it. */
export function issueToken(host: PrivateKey, subject: Identity, iatSeconds: number): string {
  const claims = { iat: iatSeconds, iss: identityOf(host.publicKey), sub: subject }
  const signed = `${HEADER}.${base64UrlText(JSON.stringify(claims))}`
  return `${signed}.${base64url.baseEncode(host.sign(utf8(signed)))}`
}

/**
 * Who the token names; `undefined` for the empty token. Throws TOKEN_INVALID, or INVALID_KEY if a good token names no
 * identity.
 */
export function verifyToken(host: PublicKey, token: string, nowSeconds: number): Identity | undefined {
  return token === '' ? undefined : readToken(host, token, nowSeconds).identity
}

/** Good tokens remembered, at least; and of how many characters at most. Longer ones are verified every time. */
const REMEMBERED_TOKENS = 1_000
const MAX_REMEMBERED_LENGTH = 1_024

/** Verifies the tokens of one host, each signature once: that costs more than many a call. Times count at every call. */
export class TokenVerifier {
  readonly #host: PublicKey
  readonly #good = new BoundedCache<string, GoodToken>(REMEMBERED_TOKENS)

  constructor(host: PublicKey) {
    this.#host = host
  }

  /** As {@link verifyToken}. */
  verify(token: string, nowSeconds: number): Identity | undefined {
    if (token === '') return undefined
    const known = this.#good.get(token)
    if (known !== undefined) {
      refuseAt(nowSeconds, known.claims)
      return known.identity
    }
    const good = readToken(this.#host, token, nowSeconds)
    if (token.length <= MAX_REMEMBERED_LENGTH) this.#good.set(token, good)
    return good.identity
  }
}

interface GoodToken {
  readonly claims: Claims
  readonly identity: Identity
}

function readToken(host: PublicKey, token: string, nowSeconds: number): GoodToken {
  const parts = token.split('.', 4)
  const [header, payload, signature] = parts
  if (header === undefined || payload === undefined || signature === undefined || parts.length !== 3) {
    throw new ThreadsError('TOKEN_INVALID', 'thread token not found')
  }
  if (token.length > MAX_TOKEN_LENGTH) throw invalidToken()
  if (memberOf(parseJson(segment(header)), 'alg') !== 'Ed25519') throw invalidToken()
  if (!host.verify(utf8(`${header}.${payload}`), segmentBytes(signature))) throw invalidToken()
  const claims = readClaims(parseFirstJson(segment(payload)))
  refuseAt(nowSeconds, claims)
  return { claims, identity: parseIdentity(claims.sub) }
}

function refuseAt(nowSeconds: number, { exp, iat, nbf }: Claims): void {
  if (exp !== 0 && nowSeconds > exp) throw invalidToken()
  if (iat !== 0 && nowSeconds < iat) throw invalidToken()
  if (nbf !== 0 && nowSeconds < nbf) throw invalidToken()
}

/** Names of claims are read in any case, the last one wins; null counts as absent, a wrong type spoils the token. */
function readClaims(json: unknown): Claims {
  const claims: Claims = { iat: 0, nbf: 0, exp: 0, sub: '' }
  if (json === null) return claims
  if (typeof json !== 'object' || Array.isArray(json)) throw invalidToken()
  for (const [name, value] of Object.entries(json)) {
    if (value === null) continue
    const claim = name.toLowerCase()
    if (claim === 'iat' || claim === 'nbf' || claim === 'exp') {
      if (!Number.isSafeInteger(value)) throw invalidToken()
      claims[claim] = Number(value)
    } else if (claim === 'sub' || claim === 'iss' || claim === 'aud' || claim === 'jti') {
      if (typeof value !== 'string') throw invalidToken()
      if (claim === 'sub') claims.sub = value
    }
  }
  return claims
}

function memberOf(json: unknown, name: string): unknown {
  if (typeof json !== 'object' || json === null || !Object.hasOwn(json, name)) return undefined
  return Object.entries(json).find(([key]) => key === name)?.[1]
}

function segment(text: string): string {
  try {
    return textOfUtf8(segmentBytes(text))
  } catch (cause) {
    throw invalidToken(cause)
  }
}

function segmentBytes(text: string): Uint8Array {
  const bytes = decodeBase64Url(text.replace(/[\r\n]/g, ''))
  if (bytes === undefined) throw invalidToken()
  return bytes
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw invalidToken(cause)
  }
}

/** Issuers may leave anything behind the claims object, so only as much is parsed as the object is long. */
function parseFirstJson(text: string): unknown {
  let depth = 0
  for (const { 0: piece, index } of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}]/gs)) {
    if (piece === '{') depth++
    if (piece === '}' && --depth === 0) return parseJson(text.slice(0, index + 1))
  }
  return parseJson(text)
}

function base64UrlText(text: string): string {
  return base64url.baseEncode(utf8(text))
}

function invalidToken(cause?: unknown): ThreadsError {
  return new ThreadsError('TOKEN_INVALID', 'invalid thread token', { cause })
}
