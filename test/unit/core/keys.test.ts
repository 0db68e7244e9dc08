import { generateKeyPairSync } from 'node:crypto'
import { generateKeyPair, publicKeyFromProtobuf, publicKeyToProtobuf } from '@libp2p/crypto/keys'
import { peerIdFromPublicKey } from '@libp2p/peer-id'
import { describe, expect, test } from 'vitest'
import { concatBytes, fromHex, utf8 } from '../../../src/core/bytes.ts'
import { randomBytes } from '../../../src/core/crypto.ts'
import { identityOf, parseIdentity, publicKeyOfIdentity } from '../../../src/core/identity.ts'
import { encodeKeyMessage } from '../../../src/core/key-protobuf.ts'
import { decodePrivateKey, decodePublicKey, generateKey, keyFromSeed } from '../../../src/core/keys.ts'
import { parsePeerId, peerIdOf, publicKeyOfPeer } from '../../../src/core/peer-id.ts'
import { failureOf } from '../../support/core-errors.ts'

const MESSAGE = utf8('a message')

describe('keys', () => {
  test.each(['Ed25519', 'secp256k1', 'RSA'] as const)('of type %s are those of libp2p', async (type) => {
    const theirs = await generateKeyPair(type, type === 'RSA' ? 2048 : undefined)
    const ours = decodePublicKey(publicKeyToProtobuf(theirs.publicKey))
    expect(ours.type).toBe(type.toLowerCase())
    expect(ours.encoded).toEqual(new Uint8Array(publicKeyToProtobuf(theirs.publicKey)))
    expect(peerIdOf(ours)).toBe(peerIdFromPublicKey(theirs.publicKey).toString())
    const signature = await theirs.sign(MESSAGE)
    expect(ours.verify(MESSAGE, signature)).toBe(true)
    expect(ours.verify(utf8('another'), signature)).toBe(false)
    expect(ours.verify(MESSAGE, signature.slice(1))).toBe(false)
    expect(ours.verify(MESSAGE, new Uint8Array(0))).toBe(false)
  })

  test('sign what libp2p verifies', async () => {
    const key = generateKey(randomBytes)
    const theirs = publicKeyFromProtobuf(key.publicKey.encoded)
    expect(await theirs.verify(MESSAGE, key.sign(MESSAGE))).toBe(true)
    expect(decodePrivateKey(key.encoded)).toMatchObject({ seed: key.seed, encoded: key.encoded })
  })

  test('come back from the texts that name them', () => {
    const { publicKey } = keyFromSeed(new Uint8Array(32).fill(7))
    const peer = peerIdOf(publicKey)
    expect(parsePeerId(peer)).toBe(peer)
    expect(publicKeyOfPeer(peer)?.encoded).toEqual(publicKey.encoded)
    const identity = identityOf(publicKey)
    expect(parseIdentity(identity)).toBe(identity)
    expect(publicKeyOfIdentity(identity).encoded).toEqual(publicKey.encoded)
  })

  test.each([
    ['point off the secp256k1 curve', encodeKeyMessage({ type: 'secp256k1', data: fromHex(`02${'ff'.repeat(32)}`) })],
    ['secp256k1 key of another length', encodeKeyMessage({ type: 'secp256k1', data: new Uint8Array(32) })],
    ['RSA key that is no DER', encodeKeyMessage({ type: 'rsa', data: Uint8Array.of(1, 2, 3) })],
    ['RSA key called ECDSA', encodeKeyMessage({ type: 'ecdsa', data: rsaDer(2048) })],
    ['RSA key too short to trust', encodeKeyMessage({ type: 'rsa', data: rsaDer(1024) })],
    ['message too long for a key', concatBytes(fromHex('08001280c001'), new Uint8Array(24576))],
  ])('a %s is refused', (_, bytes) => {
    expect(failureOf(() => decodePublicKey(bytes)).code).toBe('INVALID_KEY')
  })

  test('a key of small order verifies nothing, in none of its encodings', () => {
    for (const point of [`01${'00'.repeat(31)}`, `01${'00'.repeat(30)}80`, `ee${'ff'.repeat(30)}7f`, '00'.repeat(32)]) {
      const key = decodePublicKey(encodeKeyMessage({ type: 'ed25519', data: fromHex(point) }))
      expect(key.verify(MESSAGE, fromHex(`01${'00'.repeat(63)}`))).toBe(false)
    }
  })

  test('a seed of another length is refused', () => {
    expect(failureOf(() => keyFromSeed(new Uint8Array(31))).code).toBe('INVALID_KEY')
  })
})

function rsaDer(modulusLength: number): Uint8Array {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength })
  return new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }))
}
