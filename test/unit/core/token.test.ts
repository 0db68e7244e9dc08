import { describe, expect, test } from 'vitest'
import { randomBytes } from '../../../src/core/crypto.ts'
import { identityOf } from '../../../src/core/identity.ts'
import { generateKey, type PrivateKey } from '../../../src/core/keys.ts'
import { issueToken, TokenVerifier, verifyToken } from '../../../src/core/token.ts'
import { failureOf } from '../../support/core-errors.ts'

const HOST = generateKey(randomBytes)
const USER = identityOf(generateKey(randomBytes).publicKey)
const NOW = 1_700_000_000

describe('a token', () => {
  test('names its subject on the host that issued it, for good', () => {
    const token = issueToken(HOST, USER, NOW)
    expect(verifyToken(HOST.publicKey, token, NOW)).toBe(USER)
    expect(verifyToken(HOST.publicKey, token, NOW + 1e9)).toBe(USER)
  })

  test('is worth nothing on another host, or before it was issued', () => {
    const token = issueToken(HOST, USER, NOW)
    const other = generateKey(randomBytes).publicKey
    expect(failureOf(() => verifyToken(other, token, NOW)).code).toBe('TOKEN_INVALID')
    expect(failureOf(() => verifyToken(HOST.publicKey, token, NOW - 1)).code).toBe('TOKEN_INVALID')
  })

  test('with braces and quotes in its claims is read to the end of them', () => {
    const claims = `{"note":"a } \\" {","more":{"x":{}},"sub":"${USER}"}} trailing {"sub":"x"}`
    expect(verifyToken(HOST.publicKey, signed(HOST, claims), NOW)).toBe(USER)
  })

  test.each(['{"sub":true}', '{"exp":"1"}', '{"iat":1e300}', '{"sub":"x"', '[{}]', 'x', '{"jti":[]}'])(
    'signed over the claims %s is refused',
    (claims) => {
      expect(failureOf(() => verifyToken(HOST.publicKey, signed(HOST, claims), NOW)).code).toBe('TOKEN_INVALID')
    },
  )

  test('longer than any in use is refused', () => {
    const token = signed(HOST, `{"sub":"${USER}","note":"${'x'.repeat(20_000)}"}`)
    expect(failureOf(() => verifyToken(HOST.publicKey, token, NOW)).code).toBe('TOKEN_INVALID')
  })
})

describe('a token that was seen before', () => {
  test('names the same subject, and nobody who changed a part of it', () => {
    const verifier = new TokenVerifier(HOST.publicKey)
    const token = issueToken(HOST, USER, NOW)
    for (let times = 0; times < 3; times++) expect(verifier.verify(token, NOW)).toBe(USER)
    const [head = '', claims = '', signature = ''] = token.split('.')
    const other = Buffer.from(`{"sub":"${identityOf(generateKey(randomBytes).publicKey)}"}`).toString('base64url')
    for (const forged of [`${head}.${other}.${signature}`, `${head}.${claims}.${claims}`, `${token}x`]) {
      expect(failureOf(() => verifier.verify(forged, NOW)).code).toBe('TOKEN_INVALID')
    }
    expect(verifier.verify('', NOW)).toBeUndefined()
  })

  test('is good at its times only', () => {
    const verifier = new TokenVerifier(HOST.publicKey)
    const token = signed(HOST, `{"sub":"${USER}","nbf":${NOW},"exp":${NOW + 10}}`)
    expect(verifier.verify(token, NOW)).toBe(USER)
    for (const time of [NOW - 1, NOW + 11]) {
      expect(failureOf(() => verifier.verify(token, time)).code).toBe('TOKEN_INVALID')
    }
    expect(verifier.verify(token, NOW + 10)).toBe(USER)
  })
})

function signed(host: PrivateKey, claims: string): string {
  const head = [`{"alg":"Ed25519","typ":"JWT"}`, claims]
    .map((part) => Buffer.from(part).toString('base64url'))
    .join('.')
  return `${head}.${Buffer.from(host.sign(Buffer.from(head))).toString('base64url')}`
}
