import { describe, expect, it } from 'vitest'
import { threadInfoReply } from '../../../../src/api/net/thread-info.ts'
import { addressToBytes, parseAddress } from '../../../../src/core/address.ts'
import { toHex } from '../../../../src/core/bytes.ts'
import { cidOf } from '../../../../src/core/cbor.ts'
import { keyFromSeed } from '../../../../src/core/keys.ts'
import { peerIdOf, peerIdToBytes } from '../../../../src/core/peer-id.ts'
import { newThreadId, threadIdToBytes } from '../../../../src/core/thread-id.ts'
import { newThreadKey, threadKeyToBytes } from '../../../../src/core/thread-key.ts'
import type { Head, ThreadInfo } from '../../../../src/net/index.ts'
import { fixedRandom } from '../../../support/api-server.ts'

const logKey = keyFromSeed(new Uint8Array(32).fill(4))
const address = parseAddress('/ip4/127.0.0.1/tcp/4006')
const cid = cidOf(Uint8Array.of(0xa0))

function infoWith(head: Head, privateKey?: ThreadInfo['logs'][number]['privateKey']): ThreadInfo {
  const log = { id: peerIdOf(logKey.publicKey), publicKey: logKey.publicKey, privateKey, addresses: [address], head }
  return { id: newThreadId('raw', fixedRandom), key: newThreadKey(fixedRandom), logs: [log], addresses: [address] }
}

describe('the reply about a thread', () => {
  it('holds everything in its binary form', () => {
    const info = infoWith({ counter: 2, cid }, logKey)
    expect(threadInfoReply(info)).toMatchObject({
      threadID: threadIdToBytes(info.id),
      threadKey: threadKeyToBytes(info.key),
      addrs: [addressToBytes(address)],
      logs: [
        {
          ID: peerIdToBytes(peerIdOf(logKey.publicKey)),
          pubKey: logKey.publicKey.encoded,
          privKey: logKey.encoded,
          addrs: [addressToBytes(address)],
          head: cid.bytes,
        },
      ],
    })
  })

  it('has no private key of a log of others, and no head of an empty log', () => {
    const [log] = threadInfoReply(infoWith({ counter: 0, cid: undefined })).logs
    expect(log).toMatchObject({ privKey: new Uint8Array(0), head: new Uint8Array(0) })
  })

  it.each([
    [0, '0000000000000000'],
    [1, '0200000000000000'],
    [63, '7e00000000000000'],
    [64, '8001000000000000'],
    [1_000_000, '80897a0000000000'],
  ])('writes the counter %i as a padded zigzag varint', (counter, hex) => {
    const [log] = threadInfoReply(infoWith({ counter, cid })).logs
    expect(toHex(log?.counter ?? new Uint8Array(0))).toBe(hex)
  })
})
