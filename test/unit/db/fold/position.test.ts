import * as fc from 'fast-check'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { expect, test } from 'vitest'
import { compareBytes } from '../../../../src/core/bytes.ts'
import {
  comparePositions,
  type Position,
  positionOf,
  positionParts,
  readPosition,
} from '../../../../src/db/fold/position.ts'
import { parseKey, rowKey } from '../../../../src/store/key-codec.ts'
import { digestOf, logNumbered } from '../../../support/fold-world.ts'

const positions: fc.Arbitrary<Position> = fc.record({
  time: fc.oneof(fc.bigInt(0n, 3n), fc.bigInt(0n, 2n ** 63n - 1n)),
  logId: fc.constantFrom(0, 1, 127, 128, 255).map(logNumbered),
  counter: fc.oneof(fc.nat(3), fc.maxSafeNat()),
  digest: fc.constantFrom('a', 'b', 'c').map(digestOf),
})

const record = { logId: logNumbered(1), counter: 3, cid: CID.createV1(0x71, Digest.create(0x12, digestOf('e'))) }

function eventsAt(...timestamps: bigint[]): { timestamp: bigint }[] {
  return timestamps.map((timestamp) => ({ timestamp }))
}

test('keys of positions order as positions do, and are read back', () => {
  fc.assert(
    fc.property(positions, positions, (a, b) => {
      const order = compareBytes(rowKey('e', ...positionParts(a)), rowKey('e', ...positionParts(b)))
      expect(Math.sign(comparePositions(a, b))).toBe(Math.sign(order))
      expect(readPosition(parseKey(rowKey('e', ...positionParts(a))))).toEqual(a)
    }),
  )
})

test('a record is at its largest timestamp', () => {
  expect(positionOf(record, eventsAt(5n, 9n, 7n), 2n)).toEqual({
    time: 9n,
    logId: record.logId,
    counter: 3,
    digest: digestOf('e'),
  })
})

test('a record is never before the one before it in its log', () => {
  expect(positionOf(record, eventsAt(5n), 8n).time).toBe(8n)
  expect(positionOf(record, eventsAt(-5n), 0n).time).toBe(0n)
})

test('a record without events is at the time of the one before it', () => {
  expect(positionOf(record, [], 8n).time).toBe(8n)
})
