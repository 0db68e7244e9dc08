import { expect } from 'vitest'
import { concatBytes, toHex } from '../../../src/core/bytes.ts'
import { canonicalise, cidFromBytes, cidOf } from '../../../src/core/cbor.ts'
import type { Random } from '../../../src/core/clock.ts'
import { ThreadsError } from '../../../src/core/errors.ts'
import { byteStringOf, decodeEvent, openBody, sealEvent } from '../../../src/core/event-block.ts'
import { decodeEvents } from '../../../src/core/events.ts'
import { identityOf } from '../../../src/core/identity.ts'
import { decodePrivateKey, decodePublicKey } from '../../../src/core/keys.ts'
import { peerIdOf, peerIdToBytes } from '../../../src/core/peer-id.ts'
import {
  canonicalBlocks,
  checkLinks,
  openRecord,
  type RecordBlocks,
  sealRecord,
  verifyRecord,
} from '../../../src/core/record.ts'
import { open } from '../../../src/core/symmetric.ts'
import { encodeVarint } from '../../../src/core/varint.ts'
import { failureOf } from '../../support/core-errors.ts'
import { testVectors, type VectorCase } from '../../support/vectors.ts'
import { answerIn, RECORDS } from '../differences.ts'

testVectors('records.json', {
  log: (log) => {
    const logKey = decodePublicKey(log.bytes('logPubKey'))
    expect(peerIdOf(logKey)).toBe(log.string('logIDText'))
    expect(peerIdToBytes(peerIdOf(logKey))).toEqual(log.bytes('logID'))
    expect(identityOf(decodePublicKey(log.bytes('identityPubKey')))).toBe(log.string('identity'))
    const records = log.list('records')
    for (const [i, record] of records.entries()) {
      expect(record.bigint('counter')).toBe(BigInt(i + 1))
      expect(record.has('prev') ? record.string('prev') : undefined).toBe(records[i - 1]?.string('recordNodeCID'))
      readRecord(log, record)
      writeRecord(log, record)
    }
    expect(records.at(-1)?.string('recordNodeCID')).toBe(log.string('head'))
    expect(log.bigint('counter')).toBe(BigInt(records.length))
  },
  body: (one) => {
    const canonical = () => canonicalise(one.bytes('bodyInput'))
    if (one.has('error') || one.fault) {
      expect(failureOf(canonical).code).toBe('INVALID_RECORD')
      return
    }
    expect(canonical()).toEqual(one.bytes('body'))
    expect(toHex(cidOf(canonical()).bytes)).toBe(one.string('bodyCID'))
  },
  corrupt: (one) => {
    const refusal = refusalOf(one)
    const name = one.string('name')
    if (one.has('stage') || answerIn(RECORDS, name) === false || (one.fault && !UNDETECTABLE.has(name))) {
      expect(refusal).toBeDefined()
      checkText(one, refusal)
    } else {
      expect(refusal).toBeUndefined()
    }
  },
})

/** The author of a later record is not covered by any signature. */
const UNDETECTABLE: ReadonlySet<string> = new Set(['pubKey of a later record replaced (not covered by the signature)'])

/** The failure of a receiver that makes every check, in the order in which they cost least. */
function refusalOf(one: VectorCase): ThreadsError | undefined {
  try {
    const blocks = canonicalBlocks(blocksOf(one))
    const record = openRecord(blocks.recordNode, keyOf(one, 'serviceKey'))
    if (one.has('recordNodeCID')) expect(toHex(record.cid.bytes)).toBe(one.string('recordNodeCID'))
    checkLinks(record, blocks)
    verifyRecord(record, decodePublicKey(one.bytes('logPubKey')))
    decodeEvents(openBody(blocks, keyOf(one, 'readKey')))
    expect(record.prev && toHex(record.prev.bytes)).toBe(one.has('prev') ? one.string('prev') : undefined)
    return undefined
  } catch (error) {
    if (error instanceof ThreadsError) return error
    throw error
  }
}

/** Texts of our own cryptography are Go's, wherever the failure is the one Go met. */
function checkText(one: VectorCase, refusal: ThreadsError | undefined): void {
  if (!one.has('stage') || !one.has('serviceKey')) return
  const text = one.string('error')
  const stage = one.string('stage')
  if (stage === 'decode' && OWN_TEXTS.has(text)) expect(refusal?.message).toBe(text)
  if ((stage === 'header' || stage === 'header-key' || stage === 'body') && OWN_TEXTS.has(text)) {
    // Caught before, by the links, unless the whole chain was made anew.
    expect(failureOf(() => openBody(canonicalBlocks(blocksOf(one)), keyOf(one, 'readKey'))).message).toBe(text)
  }
  if (stage === 'verify') expect(['BAD_SIGNATURE', 'INVALID_RECORD']).toContain(refusal?.code)
  if (refusal?.code === 'BAD_SIGNATURE') expect(refusal.message).toBe(text)
}

const OWN_TEXTS: ReadonlySet<string> = new Set([
  'cipher: message authentication failed',
  'malformed cipher text',
  'parse decryption key failed',
])

function blocksOf(one: VectorCase): RecordBlocks {
  return {
    recordNode: one.bytes('recordNode'),
    eventNode: one.bytes('eventNode'),
    headerNode: one.bytes('headerNode'),
    bodyNode: one.bytes('bodyNode'),
  }
}

/** Without a key nothing is opened: as with one of no bytes. */
function keyOf(one: VectorCase, name: string): Uint8Array {
  return one.has(name) ? one.bytes(name) : new Uint8Array(0)
}

function readRecord(log: VectorCase, one: VectorCase): void {
  const blocks = blocksOf(one)
  expect(canonicalBlocks(blocks)).toEqual(blocks)
  expect(protoOf(blocks)).toEqual(one.bytes('proto'))
  expect(open(log.bytes('serviceKey'), byteStringOf(blocks.recordNode))).toEqual(one.bytes('recordPlain'))
  const record = openRecord(blocks.recordNode, log.bytes('serviceKey'))
  expect(toHex(record.cid.bytes)).toBe(one.string('recordNodeCID'))
  expect(toHex(record.block.bytes)).toBe(one.string('block'))
  expect(record.prev && toHex(record.prev.bytes)).toBe(one.has('prev') ? one.string('prev') : undefined)
  expect(record.sig).toEqual(one.bytes('sig'))
  expect(record.pubKey).toEqual(one.bytes('pubKey'))
  verifyRecord(record, decodePublicKey(log.bytes('logPubKey')))
  const event = checkLinks(record, blocks)
  expect(toHex(event.header.bytes)).toBe(one.string('headerNodeCID'))
  expect(toHex(event.body.bytes)).toBe(one.string('bodyNodeCID'))
  expect(decodeEvent(blocks.eventNode)).toEqual(event)
  const body = openBody(blocks, log.bytes('readKey'))
  expect(body).toEqual(one.bytes('body'))
  expect(toHex(cidOf(body).bytes)).toBe(one.string('bodyCID'))
}

/** Sealing the same contents with the same keys and nonces gives the same blocks. */
function writeRecord(log: VectorCase, one: VectorCase): void {
  if (one.has('bodyInput')) expect(canonicalise(one.bytes('bodyInput'))).toEqual(one.bytes('body'))
  const nonceOf = (name: string) => byteStringOf(one.bytes(name)).subarray(0, 12)
  const random = given(one.bytes('bodyKey'), nonceOf('bodyNode'), nonceOf('headerNode'), nonceOf('recordNode'))
  const sealed = sealEvent(one.bytes('body'), log.bytes('readKey'), random)
  expect(sealed.bodyNode).toEqual(one.bytes('bodyNode'))
  expect(sealed.headerNode).toEqual(one.bytes('headerNode'))
  expect(sealed.eventNode).toEqual(one.bytes('eventNode'))
  expect(toHex(sealed.eventCid.bytes)).toBe(one.string('block'))
  const logPublicKey = decodePublicKey(log.bytes('logPubKey'))
  if (logPublicKey.type !== 'ed25519') return
  const record = sealRecord({
    event: sealed.eventCid,
    ...(one.has('prev') ? { prev: cidFromBytes(one.bytes('prev')) } : {}),
    logKey: decodePrivateKey(log.bytes('logPrivKey')),
    author: decodePublicKey(one.bytes('pubKey')),
    serviceKey: log.bytes('serviceKey'),
    random,
  })
  expect(record.recordNode).toEqual(one.bytes('recordNode'))
  expect(toHex(record.cid.bytes)).toBe(one.string('recordNodeCID'))
}

/** Hands out the given bytes, one after the other. */
function given(...values: Uint8Array[]): Random {
  return (length) => {
    const value = values.shift()
    if (value?.length !== length) throw new Error(`asked for ${length} random bytes`)
    return value
  }
}

/** Log.Record: the four blocks as fields 1 to 4. */
function protoOf({ recordNode, eventNode, headerNode, bodyNode }: RecordBlocks): Uint8Array {
  const fields = [recordNode, eventNode, headerNode, bodyNode].map((block, i) =>
    concatBytes(Uint8Array.of(((i + 1) << 3) | 2), encodeVarint(block.length), block),
  )
  return concatBytes(...fields)
}
