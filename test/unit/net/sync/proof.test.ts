import { describe, expect, it } from 'vitest'
import { randomBytes } from '../../../../src/core/crypto.ts'
import { newThreadId } from '../../../../src/core/thread-id.ts'
import { isProof, proofOf } from '../../../../src/net/sync/proof.ts'
import { newPeer } from '../../../support/fake-replica.ts'

const thread = { id: newThreadId('raw', randomBytes), serviceKey: randomBytes(32) }
const from = { peer: newPeer().id, nonce: randomBytes(32) }
const to = { peer: newPeer().id, nonce: randomBytes(32) }
const proof = proofOf(thread, { from, to })

describe('the proof of a peer that it has a service key', () => {
  it('holds on its stream, in its direction', () => {
    expect(isProof(proof, thread, { from, to })).toBe(true)
  })

  it.each([
    ['another key', { ...thread, serviceKey: randomBytes(32) }, { from, to }],
    ['another thread', { ...thread, id: newThreadId('raw', randomBytes) }, { from, to }],
    ['another sender', thread, { from: { ...from, peer: newPeer().id }, to }],
    ['another receiver', thread, { from, to: { ...to, peer: newPeer().id } }],
    ['another stream of the sender', thread, { from: { ...from, nonce: randomBytes(32) }, to }],
    ['another stream of the receiver', thread, { from, to: { ...to, nonce: randomBytes(32) } }],
    ['the other direction: sent back, it shows nothing', thread, { from: to, to: from }],
  ])('does not hold for %s', (_, other, ends) => {
    expect(isProof(proof, other, ends)).toBe(false)
  })

  it('says nothing of the key', () => {
    expect(Buffer.from(proof).includes(Buffer.from(thread.serviceKey))).toBe(false)
    expect(isProof(new Uint8Array(0), thread, { from, to })).toBe(false)
  })
})
