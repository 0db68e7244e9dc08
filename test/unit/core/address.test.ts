import { multiaddr } from '@multiformats/multiaddr'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  addressFromBytes,
  addressToBytes,
  dialPartOf,
  parseAddress,
  peerAddress,
  peerIdOfAddress,
  threadAddress,
  threadIdOfAddress,
} from '../../../src/core/address.ts'
import { randomBytes } from '../../../src/core/crypto.ts'
import { generateKey } from '../../../src/core/keys.ts'
import { peerIdOf } from '../../../src/core/peer-id.ts'
import { newThreadId } from '../../../src/core/thread-id.ts'
import { failureOf } from '../../support/core-errors.ts'

const PEER = peerIdOf(generateKey(randomBytes).publicKey)
const RELAY = peerIdOf(generateKey(randomBytes).publicKey)
const THREAD = newThreadId('raw', randomBytes)

describe('an address', () => {
  test.each([
    '/ip4/127.0.0.1/tcp/4006',
    '/ip6/fe80::1/udp/1/quic',
    '/ip6zone/eth0/ip6/fe80::1/tcp/0',
    '/dns4/example.com/tcp/443/wss',
    '/dnsaddr/bootstrap.libp2p.io',
    '/onion3/vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd:1234',
    `/ip4/1.2.3.4/tcp/1/p2p/${RELAY}/p2p-circuit/p2p/${PEER}`,
    `/dns4/example.com/tcp/65535/ws/p2p/${PEER}/thread/${THREAD}`,
  ])('%s has the bytes that the multiaddr package gives it', (text) => {
    const address = parseAddress(text)
    expect(address).toBe(text)
    expect(addressToBytes(address)).toEqual(new Uint8Array(multiaddr(text).bytes))
    expect(addressFromBytes(multiaddr(text).bytes)).toBe(address)
    expect(multiaddr(addressToBytes(address)).toString()).toBe(text)
  })

  test('is taken apart into what to dial, the peer and the thread', () => {
    const transport = parseAddress('/ip4/127.0.0.1/tcp/4006')
    const address = threadAddress(transport, PEER, THREAD)
    expect(address).toBe(`/ip4/127.0.0.1/tcp/4006/p2p/${PEER}/thread/${THREAD}`)
    expect(dialPartOf(address)).toBe(transport)
    expect(peerIdOfAddress(address)).toBe(PEER)
    expect(threadIdOfAddress(address)).toBe(THREAD)
  })

  test('of a peer alone has nothing to dial', () => {
    expect(dialPartOf(peerAddress(PEER))).toBeUndefined()
    expect(peerIdOfAddress(peerAddress(PEER))).toBe(PEER)
    expect(failureOf(() => threadIdOfAddress(peerAddress(PEER)))).toMatchObject({
      code: 'INVALID_ADDRESS',
      message: 'protocol not found in multiaddr',
    })
    expect(dialPartOf(parseAddress(`/thread/${THREAD}`))).toBeUndefined()
  })

  test('behind a relay is dialled through it', () => {
    const address = parseAddress(`/ip4/1.2.3.4/tcp/1/p2p/${RELAY}/p2p-circuit/p2p/${PEER}/thread/${THREAD}`)
    expect(dialPartOf(address)).toBe(`/ip4/1.2.3.4/tcp/1/p2p/${RELAY}/p2p-circuit`)
    expect(peerIdOfAddress(address)).toBe(PEER)
  })

  test('without a peer is all transport', () => {
    const address = parseAddress('/ip4/1.2.3.4/tcp/1')
    expect(dialPartOf(address)).toBe(address)
    expect(peerIdOfAddress(address)).toBeUndefined()
  })

  test.each([
    ['/ip4/1.2.3/tcp/1', 'invalid value "1.2.3" for protocol ip4'],
    ['/ip6/:::/tcp/1', 'invalid value ":::" for protocol ip6'],
    ['/ip4/1.2.3.4/tcp/-1', 'invalid value "-1" for protocol tcp'],
    ['/ip4/1.2.3.4/tcp/x', 'invalid value "x" for protocol tcp'],
    ['/dns4//tcp/1', 'invalid value "" for protocol dns4'],
    ['//ip4/1.2.3.4', 'unknown protocol '],
    ['/unix/tmp/socket', 'unknown protocol unix'],
    ['/ip4/1.2.3.4/udp/1/webrtc-direct', 'unknown protocol webrtc-direct'],
  ])('%s is refused', (text, reason) => {
    const error = failureOf(() => parseAddress(text))
    expect(error.code).toBe('INVALID_ADDRESS')
    expect(error.message).toContain(`failed to parse multiaddr "${text}": ${reason}`)
  })

  test('never takes more bytes than there are', () => {
    const parts = ['/dns4/example.com', '/tcp/443', '/wss', `/p2p/${PEER}`, `/thread/${THREAD}`]
    const bytes = addressToBytes(parseAddress(parts.join('')))
    const whole = new Set(parts.map((_, i) => addressToBytes(parseAddress(parts.slice(0, i + 1).join(''))).length))
    fc.assert(
      fc.property(fc.integer({ min: 1, max: bytes.length - 1 }), (end) => {
        const read = () => addressFromBytes(bytes.slice(0, end))
        if (whole.has(end)) expect(addressToBytes(read())).toEqual(bytes.slice(0, end))
        else expect(failureOf(read).code).toBe('INVALID_ADDRESS')
      }),
    )
  })
})
