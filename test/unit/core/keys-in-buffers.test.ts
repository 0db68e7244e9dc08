import { describe, expect, it } from 'vitest'
import { randomBytes } from '../../../src/core/crypto.ts'
import { decodePublicKey, generateKey } from '../../../src/core/keys.ts'
import { peerIdFromBytes, peerIdOf, peerIdToBytes } from '../../../src/core/peer-id.ts'

describe('keys that come in node Buffers', () => {
  it('are not changed by use, and stay what they were when the Buffer is used again', () => {
    for (let count = 0; count < 20; count++) {
      const key = generateKey(randomBytes)
      const buffer = Buffer.from(key.publicKey.encoded)
      const before = Buffer.from(buffer).toString('hex')
      const decoded = decodePublicKey(buffer)
      const signature = key.sign(Buffer.from('message'))
      expect(decoded.verify(Buffer.from('message'), signature)).toBe(true)
      expect(buffer.toString('hex')).toBe(before)
      buffer.fill(0)
      expect(decoded.verify(Buffer.from('message'), signature)).toBe(true)
    }
  })

  it('so do peer ids', () => {
    const id = peerIdOf(generateKey(randomBytes).publicKey)
    const buffer = Buffer.from(peerIdToBytes(id))
    const decoded = peerIdFromBytes(buffer)
    buffer.fill(0)
    expect(decoded).toBe(id)
    expect(peerIdFromBytes(peerIdToBytes(decoded))).toBe(id)
  })
})
