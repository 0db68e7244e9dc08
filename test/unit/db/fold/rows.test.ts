import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { utf8 } from '../../../../src/core/bytes.ts'
import { hasCode } from '../../../../src/core/errors.ts'
import { REASONS } from '../../../../src/db/fold/reasons.ts'
import {
  documentHash,
  type HistoryEntry,
  type InstanceState,
  type RefusedRecord,
} from '../../../../src/db/fold/state.ts'
import * as rows from '../../../../src/db/rows.ts'
import { digestOf, logNumbered, writerNamed } from '../../../support/fold-world.ts'

const documents = fc.option(fc.uint8Array({ maxLength: 50 }), { nil: undefined })
const creators = fc.option(
  fc
    .string({ minLength: 1 })
    .filter((text) => text.isWellFormed())
    .map(writerNamed),
  {
    nil: undefined,
  },
)
const positions = fc.record({
  time: fc.bigInt(0n, 2n ** 63n - 1n),
  logId: fc.nat(255).map(logNumbered),
  counter: fc.maxSafeNat(),
  digest: fc.string().map(digestOf),
})
const key = { collection: 'Dog', id: 'a/b\u0000c' }

describe('rows are read back as they were written', () => {
  test('instances', () => {
    const states = fc
      .record({ document: documents, position: positions, creator: creators, sinceKept: fc.nat(31) })
      .map((state): InstanceState => ({ ...state, hash: documentHash(state.document) }))
    fc.assert(
      fc.property(states, (state) => {
        const row = rows.encodeInstance(state)
        expect(rows.decodeInstance(row)).toEqual(state)
        expect(rows.documentOfInstance(row)).toEqual(state.document)
      }),
    )
  })

  test('history entries', () => {
    const kept = fc.record({ document: documents, creator: creators })
    const entries: fc.Arbitrary<HistoryEntry> = fc.record(
      {
        position: positions,
        reason: fc.constantFrom(...Object.values(REASONS)),
        hash: documents.map(documentHash),
        created: fc.boolean(),
        kept,
      },
      { requiredKeys: ['position', 'reason', 'hash', 'created'] },
    )
    fc.assert(
      fc.property(entries, (entry) => {
        const historyKey = rows.historyKey(1, 2, key, entry.position)
        expect(rows.decodeHistoryEntry(historyKey, rows.encodeHistoryEntry(entry))).toEqual(entry)
        expect(rows.readInstanceKey(historyKey)).toEqual(key)
      }),
    )
  })

  test('refused records', () => {
    fc.assert(
      fc.property(positions, fc.string(), (position, message) => {
        const refused: RefusedRecord = { position, reason: REASONS.denied, message, keys: [key] }
        expect(rows.decodeRefusal(rows.refusalKey(1, 2, position), rows.encodeRefusal(refused))).toEqual(refused)
      }),
    )
  })

  test('keys of instances', () => {
    expect(rows.readInstanceKey(rows.instanceKey(1, 2, key))).toEqual(key)
  })
})

test('the document of a row is not copied', () => {
  const position = { time: 1n, logId: logNumbered(1), counter: 1, digest: digestOf('e') }
  const document = utf8('{"_id":"x"}')
  const state = { document, position, hash: documentHash(document), creator: writerNamed('ann'), sinceKept: 0 }
  const row = rows.encodeInstance(state)
  expect(rows.documentOfInstance(row)?.buffer).toBe(row.buffer)
})

test('a damaged row is an error, not a crash', () => {
  const corrupt = expect.toSatisfy((error: unknown) => hasCode(error, 'STORE_CORRUPT'))
  const position = { time: 1n, logId: logNumbered(1), counter: 1, digest: digestOf('e') }
  const historyKey = rows.historyKey(1, 2, key, position)
  expect(() => rows.decodeInstance(new Uint8Array(10))).toThrow(corrupt)
  expect(() => rows.decodeHistoryEntry(historyKey, Uint8Array.of(99, 0))).toThrow(corrupt)
  expect(() => rows.decodeHistoryEntry(historyKey, new Uint8Array(0))).toThrow(corrupt)
  expect(() => rows.decodeRefusal(rows.refusalKey(1, 2, position), utf8('{'))).toThrow(corrupt)
})
