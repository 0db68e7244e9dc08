import { describe, expect, test } from 'vitest'
import { textOfUtf8, utf8 } from '../../../../src/core/bytes.ts'
import { MAX_DOCUMENT_BYTES } from '../../../../src/db/fold/constants.ts'
import { applyEvent, StoredDocument } from '../../../../src/db/fold/rules.ts'
import { parseDocument } from '../../../../src/db/json.ts'

function apply(before: string | undefined, type: 'create' | 'save' | 'delete', patch?: string): string | undefined {
  const bytes = patch === undefined ? undefined : utf8(patch)
  const document = bytes === undefined ? undefined : parseDocument(bytes)
  const event = { id: 'x', instanceId: 'x', type, patch: bytes, document, timestamp: 0n, collection: 'Dog' }
  const after = applyEvent(before === undefined ? undefined : new StoredDocument(utf8(before)), event)
  return after === undefined ? undefined : textOfUtf8(after.bytes)
}

describe('create', () => {
  test.each([
    ['on nothing stores the document as it was sent', undefined, ' {"b": 1.50, "_id":"x"}', ' {"b": 1.50, "_id":"x"}'],
    ['on nothing adds the id if it is missing', undefined, '{"a":null}', '{"a":null,"_id":"x"}'],
    ['on a live instance merges', '{"_id":"x","a":1,"b":1}', '{"_id":"x","a":2,"b":null}', '{"_id":"x","a":2}'],
  ])('%s', (_, before, patch, after) => {
    expect(apply(before, 'create', patch)).toBe(after)
  })
})

describe('save', () => {
  test.each([
    ['with _id brings an instance into being', undefined, '{"_id":"x","a":null,"b":[null]}', '{"_id":"x","b":[null]}'],
    ['without _id does not', undefined, '{"a":1}', undefined],
    ['with _id merges', '{"_id":"x","a":{"b":1}}', '{"_id":"x","a":{"c":2}}', '{"_id":"x","a":{"b":1,"c":2}}'],
    ['without _id merges', '{"_id":"x","a":1}', '{"a":null}', '{"_id":"x"}'],
  ])('%s', (_, before, patch, after) => {
    expect(apply(before, 'save', patch)).toBe(after)
  })
})

test('delete removes, and has no effect on an absent instance', () => {
  expect(apply('{"_id":"x"}', 'delete')).toBeUndefined()
  expect(apply(undefined, 'delete')).toBeUndefined()
})

test('a result of more than 4 MiB has no effect', () => {
  const half = 'h'.repeat(MAX_DOCUMENT_BYTES / 2)
  const before = `{"_id":"x","a":"${half}"}`
  const room = MAX_DOCUMENT_BYTES - before.length - ',"b":""'.length
  const fits = apply(before, 'save', `{"b":"${'b'.repeat(room)}"}`)
  expect(fits).toHaveLength(MAX_DOCUMENT_BYTES)
  expect(apply(before, 'save', `{"b":"${'b'.repeat(room + 1)}"}`)).toBe(before)
  expect(apply(undefined, 'create', `{"_id":"x","a":"${half}${half}"}`)).toBeUndefined()
})
