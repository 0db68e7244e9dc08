import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encode } from '../../../src/core/cbor.ts'
import { randomBytes } from '../../../src/core/crypto.ts'
import { openBody, sealEvent } from '../../../src/core/event-block.ts'
import { generateKey } from '../../../src/core/keys.ts'
import {
  canonicalBlocks,
  checkLinks,
  openRecord,
  type RecordBlocks,
  sealRecord,
  verifyRecord,
} from '../../../src/core/record.ts'
import { newThreadKey } from '../../../src/core/thread-key.ts'
import { failureOf } from '../../support/core-errors.ts'

const LOG_KEY = generateKey(randomBytes)
const AUTHOR = generateKey(randomBytes).publicKey
const { service, read = service } = newThreadKey(randomBytes)
const BODY = encode({ patches: [] })

describe('a record', () => {
  test('comes back as it was sealed, first or later in its log', () => {
    const first = sealed()
    const later = sealed(first)
    for (const [blocks, prev] of [
      [first, undefined],
      [later, openRecord(first.recordNode, service).cid],
    ] as const) {
      expect(canonicalBlocks(blocks)).toEqual(blocks)
      const record = openRecord(blocks.recordNode, service)
      expect(record.prev).toEqual(prev)
      expect(record.pubKey).toEqual(AUTHOR.encoded)
      checkLinks(record, blocks)
      verifyRecord(record, LOG_KEY.publicKey)
      expect(openBody(blocks, read)).toEqual(BODY)
    }
  })

  test('sealed twice is two records: keys and nonces are fresh', () => {
    const [a, b] = [sealed(), sealed()]
    for (const name of ['recordNode', 'eventNode', 'headerNode', 'bodyNode'] as const)
      expect(a[name]).not.toEqual(b[name])
  })

  test('does not open with another key', () => {
    const blocks = sealed()
    expect(failureOf(() => openRecord(blocks.recordNode, read)).message).toBe('cipher: message authentication failed')
    expect(failureOf(() => openBody(blocks, service)).message).toBe('cipher: message authentication failed')
    expect(failureOf(() => openRecord(blocks.recordNode, read.slice(1))).code).toBe('INVALID_KEY')
  })

  test('signed by another key is refused', () => {
    const record = openRecord(sealed(sealed()).recordNode, service)
    expect(failureOf(() => verifyRecord(record, AUTHOR))).toMatchObject({
      code: 'BAD_SIGNATURE',
      message: 'bad signature',
    })
  })

  test('with any block of another record is refused', () => {
    const [blocks, other] = [sealed(), sealed()]
    const record = openRecord(blocks.recordNode, service)
    for (const name of ['eventNode', 'headerNode', 'bodyNode'] as const) {
      const error = failureOf(() => checkLinks(record, { ...blocks, [name]: other[name] }))
      expect(error).toMatchObject({
        code: 'INVALID_RECORD',
        message: `${name.slice(0, -'Node'.length)} is not the block the record names`,
      })
    }
  })

  test('with any byte changed is refused by some check', () => {
    const blocks = sealed(sealed())
    const names = ['recordNode', 'eventNode', 'headerNode', 'bodyNode'] as const
    fc.assert(
      fc.property(fc.constantFrom(...names), fc.nat(), fc.integer({ min: 1, max: 255 }), (name, at, mask) => {
        const changed = blocks[name].slice()
        const index = at % changed.length
        changed[index] = (changed[index] ?? 0) ^ mask
        const { code } = failureOf(() => accept({ ...blocks, [name]: changed }))
        expect(['INVALID_RECORD', 'BAD_SIGNATURE']).toContain(code)
      }),
      { numRuns: 400 },
    )
  })
})

function accept(blocks: RecordBlocks): void {
  const record = openRecord(blocks.recordNode, service)
  checkLinks(record, blocks)
  verifyRecord(record, LOG_KEY.publicKey)
}

function sealed(prev?: RecordBlocks): RecordBlocks {
  const event = sealEvent(BODY, read, randomBytes)
  const record = sealRecord({
    event: event.eventCid,
    ...(prev === undefined ? {} : { prev: openRecord(prev.recordNode, service).cid }),
    logKey: LOG_KEY,
    author: AUTHOR,
    serviceKey: service,
    random: randomBytes,
  })
  const { eventNode, headerNode, bodyNode } = event
  return { recordNode: record.recordNode, eventNode, headerNode, bodyNode }
}
