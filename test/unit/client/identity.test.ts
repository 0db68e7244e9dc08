import { PrivateKey } from '@textile/crypto'
import { describe, expect, it } from 'vitest'
import { toHex, utf8 } from '../../../src/core/bytes.ts'
import { publicKeyOfIdentity } from '../../../src/core/identity.ts'
import { decodePrivateKey } from '../../../src/core/keys.ts'
import { decodeMultibase } from '../../../src/core/multibase.ts'
import { generateIdentityKey, parseIdentityKey } from '../../../src/client/index.ts'

describe('an identity key', () => {
  it('signs what its identity verifies, as native keys do', async () => {
    const key = generateIdentityKey()
    const message = utf8('challenge')
    const signature = await key.sign(message)
    expect(publicKeyOfIdentity(key.identity).verify(message, signature)).toBe(true)
    const native = decodePrivateKey(decodeMultibase(key.secret, 'INVALID_KEY'))
    expect(toHex(native.sign(message))).toBe(toHex(signature))
  })

  it('is the same when it is read again, and never made twice', () => {
    const key = generateIdentityKey()
    expect(parseIdentityKey(key.secret).identity).toBe(key.identity)
    expect(parseIdentityKey(key.secret).secret).toBe(key.secret)
    expect(generateIdentityKey().identity).not.toBe(key.identity)
  })

  it('may be one of the original client', () => {
    const original = PrivateKey.fromRandom()
    const key = parseIdentityKey(original.toString())
    expect(key.identity).toBe(original.public.toString())
    expect(key.secret).toBe(original.toString())
  })

  it.each(['', 'x', 'bnothing', generateIdentityKey().identity])('is not read from %j', (text) => {
    expect(() => parseIdentityKey(text)).toThrow(expect.objectContaining({ code: 'INVALID_KEY' }))
  })
})
