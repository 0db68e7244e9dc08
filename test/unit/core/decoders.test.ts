import * as fc from 'fast-check'
import { describe, test } from 'vitest'
import { addressFromBytes, addressToBytes, parseAddress } from '../../../src/core/address.ts'
import { utf8 } from '../../../src/core/bytes.ts'
import { canonicalise, cidFromBytes, cidOf, decode, encode } from '../../../src/core/cbor.ts'
import { randomBytes } from '../../../src/core/crypto.ts'
import { ThreadsError } from '../../../src/core/errors.ts'
import { decodeEvent, openBody, sealEvent } from '../../../src/core/event-block.ts'
import { decodeEvents, encodeEvents, validatorView } from '../../../src/core/events.ts'
import { identityOf, parseIdentity } from '../../../src/core/identity.ts'
import { decodePrivateKey, decodePublicKey, generateKey } from '../../../src/core/keys.ts'
import { parsePeerId, peerIdFromBytes, peerIdOf, peerIdToBytes, publicKeyOfPeer } from '../../../src/core/peer-id.ts'
import { openRecord } from '../../../src/core/record.ts'
import { open, seal } from '../../../src/core/symmetric.ts'
import { newThreadId, parseThreadId, threadIdFromBytes, threadIdToBytes } from '../../../src/core/thread-id.ts'
import { newThreadKey, parseThreadKey, threadKeyFromBytes, threadKeyToString } from '../../../src/core/thread-key.ts'
import { issueToken, verifyToken } from '../../../src/core/token.ts'

const KEY = generateKey(randomBytes)
const PEER = peerIdOf(KEY.publicKey)
const IDENTITY = identityOf(KEY.publicKey)
const THREAD = newThreadId('raw', randomBytes)
const THREAD_KEY = newThreadKey(randomBytes)
const SERVICE = THREAD_KEY.service
const ADDRESS = parseAddress(`/dns4/example.com/tcp/443/wss/p2p/${PEER}/thread/${THREAD}`)
const BODY = encodeEvents([
  { id: 'x', type: 'create', patch: utf8('{"_id":"x"}'), timestamp: 5n, collection: 'Dog', instanceId: 'x' },
])
const RECORD = encode({ sig: new Uint8Array(64), prev: cidOf(BODY), block: cidOf(BODY), pubKey: KEY.publicKey.encoded })
const EVENT = sealEvent(BODY, SERVICE, randomBytes)

/** Each reader of bytes with something it can read. What is encrypted is changed inside, or nothing would get far. */
const readers: [string, Uint8Array, (bytes: Uint8Array) => unknown][] = [
  ['thread id', threadIdToBytes(THREAD), threadIdFromBytes],
  ['peer id', peerIdToBytes(PEER), (bytes) => publicKeyOfPeer(peerIdFromBytes(bytes))],
  ['address', addressToBytes(ADDRESS), addressFromBytes],
  ['public key', KEY.publicKey.encoded, (bytes) => decodePublicKey(bytes).verify(BODY, new Uint8Array(64))],
  ['private key', KEY.encoded, (bytes) => decodePrivateKey(bytes).sign(BODY)],
  ['thread key', SERVICE, threadKeyFromBytes],
  ['CID', cidOf(BODY).bytes, cidFromBytes],
  ['CBOR', RECORD, canonicalise],
  ['dag-cbor', RECORD, decode],
  ['record', RECORD, (bytes) => openRecord(encode(seal(SERVICE, bytes, randomBytes)), SERVICE)],
  ['envelope', encode(seal(SERVICE, RECORD, randomBytes)), (bytes) => openRecord(bytes, SERVICE)],
  ['ciphertext', seal(SERVICE, BODY, randomBytes), (bytes) => open(SERVICE, bytes)],
  ['event block', EVENT.eventNode, decodeEvent],
  [
    'header',
    encode({ key: SERVICE }),
    (bytes) => openBody({ headerNode: sealed(bytes), bodyNode: sealed(BODY) }, SERVICE),
  ],
  ['events', BODY, (bytes) => decodeEvents(bytes).map(validatorView)],
]

/** The same for texts. */
const parsers: [string, string, (text: string) => unknown][] = [
  ['thread id', THREAD, parseThreadId],
  ['peer id', PEER, parsePeerId],
  ['address', ADDRESS, parseAddress],
  ['thread key', threadKeyToString(THREAD_KEY), parseThreadKey],
  ['identity', IDENTITY, parseIdentity],
  ['token', issueToken(KEY, IDENTITY, 1), (text) => verifyToken(KEY.publicKey, text, 2)],
]

describe('decoders fail in no other way than with a ThreadsError', () => {
  test.each(readers)('%s', (_, good, read) => {
    read(good)
    fc.assert(
      fc.property(fc.oneof(mutated(good), fc.uint8Array({ maxLength: 200 })), (bytes) =>
        onlyThreadsErrors(() => read(bytes)),
      ),
      { numRuns: 1000 },
    )
  })

  test.each(parsers)('text of a %s', (_, good, parse) => {
    parse(good)
    const text = mutated(utf8(good)).map((bytes) => Buffer.from(bytes).toString())
    fc.assert(
      fc.property(fc.oneof(text, fc.string({ unit: 'binary' })), (bad) => onlyThreadsErrors(() => parse(bad))),
      { numRuns: 1000 },
    )
  })
})

/** Bytes changed, put in, left out, cut off or appended. */
function mutated(good: Uint8Array): fc.Arbitrary<Uint8Array> {
  const edit = fc.record({ at: fc.nat(good.length), remove: fc.nat(3), insert: fc.uint8Array({ maxLength: 3 }) })
  return fc.array(edit, { minLength: 1, maxLength: 3 }).map((edits) => {
    const bytes = [...good]
    for (const { at, remove, insert } of edits) bytes.splice(at, remove, ...insert)
    return Uint8Array.from(bytes)
  })
}

function onlyThreadsErrors(run: () => unknown): void {
  try {
    run()
  } catch (error) {
    if (!(error instanceof ThreadsError)) throw error
  }
}

function sealed(plaintext: Uint8Array): Uint8Array {
  return encode(seal(SERVICE, plaintext, randomBytes))
}
