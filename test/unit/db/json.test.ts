import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fromHex, utf8 } from '../../../src/core/bytes.ts'
import { hasCode } from '../../../src/core/errors.ts'
import { diffPatch, type Document, member, mergeDocument, mergePatch } from '../../../src/db/json.ts'
import { parseDocument, sameValue, stringify, withMember } from '../../../src/db/json.ts'

function nested(depth: number): string {
  return `${'{"a":'.repeat(depth - 1)}{}${'}'.repeat(depth - 1)}`
}

const documents = fc.dictionary(
  fc.oneof(fc.constantFrom('a', 'b', '__proto__', 'constructor', 'toString', ''), fc.string({ maxLength: 3 })),
  fc.jsonValue({ maxDepth: 3 }),
  { maxKeys: 5 },
)
const patches = documents.map((value) => parseDocument(JSON.stringify(value)))

/** Whether a patch can lead to the document: no member of an object in it is null, outside of arrays. */
function expressible(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value !== null
  return Object.values(value).every(expressible)
}

describe('parseDocument', () => {
  test.each([
    ['an array', '[1]'],
    ['null', 'null'],
    ['a number', '1'],
    ['nothing', ''],
    ['two values', '{}{}'],
    ['a byte order mark', '\ufeff{}'],
    ['a number out of range', '{"a":[1e400]}'],
    ['nesting below 64 levels', nested(65)],
    ['nesting of arrays below 64 levels', `{"a":${'['.repeat(64)}${']'.repeat(64)}}`],
  ])('refuses %s', (_, text) => {
    for (const source of [text, utf8(text)]) {
      expect(() => parseDocument(source)).toThrow(expect.toSatisfy((error) => hasCode(error, 'INVALID_INSTANCE')))
    }
  })

  test('refuses what is not UTF-8', () => {
    expect(() => parseDocument(fromHex('7b2261223a22fffe227d'))).toThrow('not valid JSON')
  })

  test('survives nesting that would exhaust the stack', () => {
    expect(() => parseDocument(nested(200_000))).toThrow('more than 64 levels')
  })

  test('takes 64 levels, and of equal members the last', () => {
    expect(stringify(parseDocument(nested(64)))).toBe(nested(64))
    expect(stringify(parseDocument('{"a":1,"a":2}'))).toBe('{"a":2}')
  })
})

describe('members with the names of inherited ones', () => {
  const document = parseDocument('{"__proto__":{"x":1},"constructor":2}')

  test('are data', () => {
    expect(stringify(document)).toBe('{"__proto__":{"x":1},"constructor":2}')
    expect(member(document, '__proto__')).toEqual({ x: 1 })
    expect(stringify(mergeDocument(document, parseDocument('{"__proto__":{"y":2}}')))).toBe(
      '{"__proto__":{"x":1,"y":2},"constructor":2}',
    )
    expect(stringify(withMember(document, '__proto__', 3))).toBe('{"__proto__":3,"constructor":2}')
  })

  test('are absent where nobody wrote them', () => {
    expect(member(parseDocument('{}'), 'toString')).toBeUndefined()
    expect(stringify(diffPatch(parseDocument('{}'), document))).toBe(stringify(document))
    expect(stringify(mergeDocument(parseDocument('{}'), parseDocument('{"toString":{"a":1}}')))).toBe(
      '{"toString":{"a":1}}',
    )
  })

  test('do not reach the prototype of all objects', () => {
    mergePatch({}, parseDocument('{"__proto__":{"polluted":true}}'))
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false)
  })
})

describe('merge patches', () => {
  test('a patch made of two documents leads from one to the other, if one can', () => {
    fc.assert(
      fc.property(patches, patches.filter(expressible), (previous, next) => {
        expect(sameValue(mergeDocument(previous, diffPatch(previous, next)), next)).toBe(true)
      }),
    )
  })

  test('equal documents have an empty patch', () => {
    fc.assert(
      fc.property(patches, (document) => {
        const shuffled: Document = parseDocument(
          JSON.stringify(Object.fromEntries(Object.entries(document).toReversed())),
        )
        expect(stringify(diffPatch(document, shuffled))).toBe('{}')
      }),
    )
  })

  test('merging changes neither of its arguments', () => {
    fc.assert(
      fc.property(patches, patches, (target, patch) => {
        const before = [stringify(target), stringify(patch)]
        mergeDocument(target, patch)
        expect([stringify(target), stringify(patch)]).toEqual(before)
      }),
    )
  })
})
