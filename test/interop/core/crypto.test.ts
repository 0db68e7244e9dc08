import { expect } from 'vitest'
import { encode } from '../../../src/core/cbor.ts'
import { randomBytes } from '../../../src/core/crypto.ts'
import { openBody } from '../../../src/core/event-block.ts'
import { decodePrivateKey, decodePublicKey } from '../../../src/core/keys.ts'
import { open, seal } from '../../../src/core/symmetric.ts'
import { failureOf } from '../../support/core-errors.ts'
import { testVectors } from '../../support/vectors.ts'
import { answerIn, CRYPTO } from '../differences.ts'

const READ_KEY = new Uint8Array(32).fill(2)
const BODY = encode({ patches: [] })

testVectors('crypto.json', {
  symmetric: (one) => {
    const key = one.bytes('key')
    const sealed = seal(key, one.bytes('plaintext'), () => one.bytes('nonce'))
    expect(sealed).toEqual(one.bytes('ciphertext'))
    expect(sealed.subarray(-16)).toEqual(one.bytes('tag'))
    expect(open(key, sealed)).toEqual(one.bytes('plaintext'))
  },
  'symmetric-decrypt': (one) => {
    const opened = () => open(one.bytes('key'), one.bytes('ciphertext'))
    if (one.has('error')) expect(failureOf(opened).message).toBe(one.string('error'))
    else expect(opened()).toEqual(one.bytes('plaintext'))
  },
  sign: (one) => {
    const key = decodePublicKey(one.bytes('pubKey'))
    expect(key.verify(one.bytes('message'), one.bytes('signature'))).toBe(true)
    expect(decodePrivateKey(one.bytes('privKey')).sign(one.bytes('message'))).toEqual(one.bytes('signature'))
  },
  verify: (one) => {
    const key = decodePublicKey(one.bytes('pubKey'))
    const counts = answerIn(CRYPTO, one.string('name')) ?? one.boolean('ok')
    expect(key.verify(one.bytes('message'), one.bytes('signature'))).toBe(counts)
  },
  asymmetric: (one) => {
    // Bodies sealed for a private key (NaCl box) are never written and need not be read: refused, by name.
    const body = encode(one.bytes('ciphertext'))
    expect(failureOf(() => openBody(withBodyKey(one.bytes('privKey'), body), READ_KEY)).message).toBe(
      'parse decryption key failed',
    )
    expect(decodePrivateKey(one.bytes('privKey')).publicKey.encoded).toEqual(one.bytes('pubKey'))
  },
  'decryption-key': (one) => {
    const key = one.bytes('bytes')
    const symmetric = one.has('type') && one.string('type') === 'symmetric'
    const body = encode(seal(symmetric ? key : READ_KEY, BODY, randomBytes))
    const opened = () => openBody(withBodyKey(key, body), READ_KEY)
    if (symmetric) expect(opened()).toEqual(BODY)
    else expect(failureOf(opened).message).toBe('parse decryption key failed')
  },
})

function withBodyKey(key: Uint8Array, bodyNode: Uint8Array): { headerNode: Uint8Array; bodyNode: Uint8Array } {
  return { headerNode: encode(seal(READ_KEY, encode({ key }), randomBytes)), bodyNode }
}
