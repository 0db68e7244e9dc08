import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalise } from '../../../src/core/cbor.ts'
import { decodeEvents, type EventData, encodeEvents, validatorView } from '../../../src/core/events.ts'
import { failureOf } from '../../support/core-errors.ts'

const event: fc.Arbitrary<EventData> = fc.record({
  id: fc.string(),
  type: fc.constantFrom('create', 'save', 'delete'),
  patch: fc.option(fc.uint8Array(), { nil: undefined }),
  timestamp: fc.oneof(fc.bigInt(0n, 2n ** 64n - 1n), fc.bigInt(-(2n ** 63n), 2n ** 40n)),
  collection: fc.string({ unit: 'grapheme' }),
  instanceId: fc.string({ unit: 'grapheme' }),
})

const EVENT: EventData = {
  id: 'x',
  type: 'save',
  patch: Buffer.from('{"b":1,"a":[-0,2]}'),
  timestamp: 1n,
  collection: 'Dog',
  instanceId: 'x',
}

describe('events', () => {
  test('come back as they were written, in canonical CBOR', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 5 }), (events) => {
        const cbor = encodeEvents(events)
        expect(canonicalise(cbor)).toEqual(cbor)
        expect(decodeEvents(cbor)).toEqual(events)
      }),
    )
  })

  test('in their thousands fit in one record', () => {
    const events = Array.from({ length: 10_000 }, (_, i) => ({ ...EVENT, patch: undefined, id: `id-${i}` }))
    expect(decodeEvents(encodeEvents(events))).toEqual(events)
  })

  test('with a timestamp beyond 64 bits are not written', () => {
    for (const timestamp of [2n ** 64n, -(2n ** 64n) - 1n]) {
      expect(failureOf(() => encodeEvents([{ ...EVENT, timestamp }])).code).toBe('INVALID_ARGUMENT')
    }
  })

  test('are shown to validators as JSON', () => {
    fc.assert(
      fc.property(event, fc.jsonValue(), (one, document) => {
        const text = JSON.stringify(document).toWellFormed()
        const view = JSON.parse(validatorView({ ...one, patch: Buffer.from(text) }))
        expect(view).toMatchObject({ _id: one.id, collection_name: one.collection })
        expect(view.patch).toEqual({
          type: one.type,
          instance_id: one.instanceId,
          ...(document === null ? {} : { json_patch: JSON.parse(text) }),
        })
      }),
    )
  })

  test('whose patch is no JSON, no UTF-8 or nested without end have no view', () => {
    for (const text of ['', '{', '{"a":1e999}', 'nul', '['.repeat(5000) + ']'.repeat(5000)]) {
      expect(failureOf(() => validatorView({ ...EVENT, patch: Buffer.from(text) })).code).toBe('INVALID_RECORD')
    }
    const notUtf8 = Uint8Array.of(0x22, 0xff, 0x22)
    expect(failureOf(() => validatorView({ ...EVENT, patch: notUtf8 })).code).toBe('INVALID_RECORD')
  })
})
