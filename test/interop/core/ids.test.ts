import { expect } from 'vitest'
import {
  addressFromBytes,
  addressToBytes,
  parseAddress,
  threadIdOfAddress,
  type Address,
} from '../../../src/core/address.ts'
import { utf8 } from '../../../src/core/bytes.ts'
import { identityOf, parseIdentity, publicKeyOfIdentity } from '../../../src/core/identity.ts'
import { decodePrivateKey, decodePublicKey, keyFromSeed, type PublicKey } from '../../../src/core/keys.ts'
import { decodeMultibase } from '../../../src/core/multibase.ts'
import { parsePeerId, peerIdFromBytes, peerIdOf, peerIdToBytes, publicKeyOfPeer } from '../../../src/core/peer-id.ts'
import {
  parseThreadId,
  type ThreadId,
  threadIdFromBytes,
  threadIdToBytes,
  variantOf,
} from '../../../src/core/thread-id.ts'
import {
  parseThreadKey,
  type ThreadKey,
  threadKeyFromBytes,
  threadKeyToBytes,
  threadKeyToString,
} from '../../../src/core/thread-key.ts'
import { failureOf } from '../../support/core-errors.ts'
import { testVectors, type VectorCase } from '../../support/vectors.ts'

testVectors('ids.json', {
  'thread-id-bytes': (one) => {
    if (refused(one, 'INVALID_ID', () => threadIdFromBytes(one.bytes('bytes')))) return
    const id = threadIdFromBytes(one.bytes('bytes'))
    expect(id).toBe(one.string('text'))
    checkThreadId(one, id)
  },
  'thread-id-text': (one) => {
    if (refused(one, 'INVALID_ID', () => parseThreadId(one.string('text')))) return
    const id = parseThreadId(one.string('text'))
    expect(id).toBe(one.string('canonical'))
    checkThreadId(one, id)
  },
  'multibase-encode': (one) => {
    // Go can read no text of these bases either.
    const prefix = one.string('name') === 'base8' ? '7' : '9'
    expect(failureOf(() => decodeMultibase(`${prefix}123`, 'INVALID_ID')).message).toBe(one.string('error'))
  },
  'key-pair': (one) => {
    const key = decodePublicKey(one.bytes('pubKey'))
    expect(key.type).toBe(one.string('type').toLowerCase())
    expect(identityOf(key)).toBe(one.string('identity'))
    const peer = peerIdOf(key)
    expect(peer).toBe(one.string('peerIDText'))
    expect(peerIdToBytes(peer)).toEqual(one.bytes('peerID'))
    expect(parsePeerId(one.string('peerIDText'))).toBe(peer)
    if (one.has('peerIDCidText')) expect(parsePeerId(one.string('peerIDCidText'))).toBe(peer)
    if (one.has('signatureOfHello')) expect(key.verify(utf8('hello'), one.bytes('signatureOfHello'))).toBe(true)
    if (key.type !== 'ed25519') {
      expect(failureOf(() => decodePrivateKey(one.bytes('privKey'))).code).toBe('INVALID_KEY')
      return
    }
    expect(keyFromSeed(one.bytes('seed')).encoded).toEqual(one.bytes('privKey'))
    expect(decodePrivateKey(one.bytes('privKey')).publicKey.encoded).toEqual(one.bytes('pubKey'))
  },
  'public-key-bytes': (one) => {
    if (refused(one, 'INVALID_KEY', () => decodePublicKey(one.bytes('bytes')))) return
    checkPublicKey(one, decodePublicKey(one.bytes('bytes')))
  },
  'private-key-bytes': (one) => {
    if (refused(one, 'INVALID_KEY', () => decodePrivateKey(one.bytes('bytes')))) return
    const key = decodePrivateKey(one.bytes('bytes'))
    expect(key.encoded).toEqual(one.bytes('reencoded'))
    expect(peerIdOf(key.publicKey)).toBe(one.string('peerIDText'))
  },
  'peer-id-bytes': (one) => {
    if (refused(one, 'INVALID_ID', () => peerIdFromBytes(one.bytes('bytes')))) return
    const id = peerIdFromBytes(one.bytes('bytes'))
    expect(id).toBe(one.string('text'))
    expect(peerIdToBytes(id)).toEqual(one.bytes('bytes'))
    if (one.has('pubKey')) {
      expect(publicKeyOfPeer(id)?.encoded).toEqual(one.bytes('pubKey'))
    } else if (one.string('extractError') === 'public key is not embedded in peer ID') {
      expect(publicKeyOfPeer(id)).toBeUndefined()
    } else {
      expect(failureOf(() => publicKeyOfPeer(id)).message).toBe(one.string('extractError'))
    }
  },
  'peer-id-text': (one) => {
    if (refused(one, 'INVALID_ID', () => parsePeerId(one.string('text')))) return
    const id = parsePeerId(one.string('text'))
    expect(id).toBe(one.string('canonical'))
    expect(peerIdToBytes(id)).toEqual(one.bytes('bytes'))
  },
  identity: (one) => {
    if (refused(one, 'INVALID_KEY', () => parseIdentity(one.string('text')))) return
    const identity = parseIdentity(one.string('text'))
    expect(identity).toBe(one.string('canonical'))
    expect(publicKeyOfIdentity(identity).encoded).toEqual(one.bytes('pubKey'))
    expect(publicKeyOfIdentity(identity).type).toBe(one.string('type').toLowerCase())
  },
  'thread-key-bytes': (one) => {
    if (refused(one, 'INVALID_KEY', () => threadKeyFromBytes(one.bytes('bytes')))) return
    const key = threadKeyFromBytes(one.bytes('bytes'))
    expect(threadKeyToString(key)).toBe(one.string('text'))
    expect(key.service).toEqual(one.bytes('serviceKey'))
    expect(key.read).toEqual(one.has('readKey') ? one.bytes('readKey') : undefined)
    checkThreadKey(one, key)
  },
  'thread-key-text': (one) => {
    if (refused(one, 'INVALID_KEY', () => parseThreadKey(one.string('text')))) return
    const key = parseThreadKey(one.string('text'))
    expect(threadKeyToString(key)).toBe(one.string('canonical'))
    expect(key.read !== undefined).toBe(one.boolean('canRead'))
    checkThreadKey(one, key)
  },
  'multiaddr-text': (one) => {
    if (one.fault) {
      // The text holds a malformed thread id: refused as the bytes are, with the text Go dies of.
      const error = failureOf(() => parseAddress(one.string('text')))
      expect(error.code).toBe('INVALID_ADDRESS')
      expect(error.message).toContain(one.string('panic').replace('reading varint: buffer too small', 'id too short'))
      return
    }
    if (refused(one, 'INVALID_ADDRESS', () => parseAddress(one.string('text')))) return
    const address = parseAddress(one.string('text'))
    expect(address).toBe(one.string('canonical'))
    expect(addressFromBytes(one.bytes('bytes'))).toBe(address)
    checkAddress(one, address)
  },
  'multiaddr-bytes': (one) => {
    if (refused(one, 'INVALID_ADDRESS', () => addressFromBytes(one.bytes('bytes')))) return
    const address = addressFromBytes(one.bytes('bytes'))
    expect(address).toBe(one.string('text'))
    checkAddress(one, address)
  },
})

/** Whether the case is one of refusal; then checks that it is refused with Go's text. */
function refused(one: VectorCase, code: string, run: () => unknown): boolean {
  if (!one.has('error')) return false
  const error = failureOf(run)
  expect(error.message).toBe(one.string('error'))
  expect(error.code).toBe(code)
  return true
}

function checkThreadId(one: VectorCase, id: ThreadId): void {
  expect(threadIdToBytes(id)).toEqual(one.bytes('bytes'))
  expect(variantOf(id)).toBe(one.string('variant').replace('_', '-'))
  expect(parseThreadId(id)).toBe(id)
}

function checkPublicKey(one: VectorCase, key: PublicKey): void {
  expect(key.type).toBe(one.string('type').toLowerCase())
  expect(key.encoded).toEqual(one.bytes('reencoded'))
  expect(peerIdOf(key)).toBe(one.string('peerIDText'))
}

function checkThreadKey(one: VectorCase, key: ThreadKey): void {
  expect(threadKeyToBytes(key)).toEqual(one.bytes('bytes'))
}

function checkAddress(one: VectorCase, address: Address): void {
  expect(addressToBytes(address)).toEqual(one.bytes('bytes'))
  if (one.has('threadID')) {
    expect(threadIdToBytes(threadIdOfAddress(address))).toEqual(one.bytes('threadID'))
  } else {
    expect(failureOf(() => threadIdOfAddress(address)).message).toBe(one.string('threadIDError'))
  }
}
