import { expect } from 'vitest'
import { toHex } from '../../../src/core/bytes.ts'
import { canonicalise, cidOf } from '../../../src/core/cbor.ts'
import { decodeEvents, type EventData, encodeEvents, validatorView } from '../../../src/core/events.ts'
import { failureOf } from '../../support/core-errors.ts'
import { testVectors, type VectorCase } from '../../support/vectors.ts'

const TYPES = ['create', 'save', 'delete'] as const

testVectors('events.json', {
  encode: (one) => {
    const cbor = one.bytes('cbor')
    expect(toHex(cidOf(cbor).bytes)).toBe(one.string('cid'))
    expect(canonicalise(cbor)).toEqual(cbor)
    const events = one.list('patches').map(eventOf)
    expect(decodeEvents(cbor)).toEqual(events)
    if (events.some(({ type }) => type === 'unknown')) {
      expect(failureOf(() => encodeEvents(events)).message).toBe('unknown operation type')
    } else {
      expect(encodeEvents(events)).toEqual(cbor)
    }
    checkDecoded(one)
  },
  decode: (one) => {
    if (one.has('error')) expect(failureOf(() => decodeEvents(one.bytes('cbor'))).code).toBe('INVALID_RECORD')
    else checkDecoded(one)
  },
})

function eventOf(patch: VectorCase): EventData {
  return {
    id: patch.string('instanceID'),
    type: TYPES[patch.number('type')] ?? 'unknown',
    patch: patch.has('jsonPatch') || patch.has('jsonPatchHex') ? patch.textBytes('jsonPatch') : undefined,
    timestamp: patch.bigint('timestamp'),
    collection: patch.string('collectionName'),
    instanceId: patch.string('patchInstanceID'),
  }
}

function checkDecoded(one: VectorCase): void {
  const events = decodeEvents(one.bytes('cbor'))
  const expected = one.list('decoded')
  expect(events.length).toBe(expected.length)
  for (const [i, event] of events.entries()) {
    const wanted = expected[i]
    if (wanted === undefined) continue
    expect(event.collection).toBe(wanted.string('collection'))
    expect(event.id).toBe(wanted.string('instanceID'))
    if (wanted.has('validatorViewError')) {
      expect(failureOf(() => validatorView(event)).code).toBe('INVALID_RECORD')
    } else {
      expect(validatorView(event)).toBe(wanted.string('validatorView'))
    }
  }
}
